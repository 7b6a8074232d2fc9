"""How work is split between processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.machine.process_group import ProcessGroup, count_processes


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
