"""How work is split between processes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.machine.device_group import join_devices
from pipeline.machine.process_group import ProcessGroup, count_processes
from pipeline.params import read_params
from tests.workspace import ROOT


@given(st.integers(1, 9), st.lists(st.integers(), max_size=30))
def test_parts_follow_each_other_and_are_all_of_it(size: int, items: list[int]) -> None:
    parts = [list(ProcessGroup(rank, size).part(items)) for rank in range(size)]
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_one_process_needs_no_engine() -> None:
    alone = ProcessGroup(0, 1)
    alone.barrier()
    assert alone.gather("what it gives") == ["what it gives"]


def test_what_a_scheduler_calls_the_world_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert count_processes() == 1


def test_more_processes_than_gpus_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    runtime = read_params(ROOT / "params.yaml").runtime
    expected = r"params\.yaml - runtime\.processes - expected one for each of 1 GPUs"
    with pytest.raises(ValueError, match=expected), join_devices(runtime):
        pass
