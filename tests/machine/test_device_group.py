"""Which device a process computes on, and which part of a batch is its own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.machine.device_group import DeviceGroup, join_devices
from pipeline.params import read_params
from tests.workspace import ROOT

CPU = torch.device("cpu")


@given(st.integers(1, 9), st.integers(0, 9))
def test_even_parts_are_equally_long_and_follow_each_other(size: int, length: int) -> None:
    parts = [DeviceGroup(rank, size, CPU).even_part(size * length) for rank in range(size)]
    assert [len(part) for part in parts] == [length] * size
    assert [place for part in parts for place in part] == list(range(size * length))


def test_a_batch_that_cannot_be_shared_evenly_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="expected a multiple of 2 processes - found 7"):
        DeviceGroup(0, 2, CPU).even_part(7)


def test_more_processes_than_gpus_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    runtime = read_params(ROOT / "params.yaml").runtime
    expected = r"params\.yaml - runtime\.processes - expected one for each of 1 GPUs"
    with pytest.raises(ValueError, match=expected), join_devices(runtime):
        pass
