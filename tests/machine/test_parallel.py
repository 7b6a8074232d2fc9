import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.machine.parallel import map_ordered

WORKERS = pytest.mark.parametrize("workers", [1, 2, 4])


@WORKERS
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(), max_size=30))
def test_results_come_in_the_order_of_the_items(workers: int, items: list[int]) -> None:
    assert list(map_ordered(lambda item: item * 2, items, workers=workers)) == [item * 2 for item in items]


@WORKERS
def test_a_slow_first_item_does_not_change_the_order(workers: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item

    assert list(map_ordered(work, range(12), workers=workers)) == list(range(12))


@pytest.mark.parametrize("workers", [2, 4])
def test_items_are_worked_on_at_the_same_time(workers: int) -> None:
    together = threading.Barrier(workers, timeout=5)
    assert len(list(map_ordered(lambda _: together.wait(), range(workers), workers=workers))) == workers


@WORKERS
def test_no_more_than_two_items_per_worker_are_taken_ahead(workers: int) -> None:
    taken = returned = ahead = 0

    def items() -> Iterator[int]:
        nonlocal taken, ahead
        for item in range(40):
            taken += 1
            ahead = max(ahead, taken - returned)
            yield item

    for _ in map_ordered(lambda item: item, items(), workers=workers):
        returned += 1
    assert returned == 40
    assert ahead <= 2 * workers


@WORKERS
def test_the_first_error_ends_the_work_and_later_items_are_dropped(workers: int) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 5:
            raise ValueError("item 5")
        time.sleep(0.002)
        return item

    results: list[int] = []
    with pytest.raises(ValueError, match=r"^item 5$"):
        results.extend(map_ordered(work, range(1000), workers=workers))
    assert max(begun) <= 5 + 2 * workers
    count = len(begun)
    time.sleep(0.02)
    assert len(begun) == count


@WORKERS
def test_results_before_the_error_are_given(workers: int) -> None:
    def work(item: int) -> int:
        if item == 3:
            raise KeyError(item)
        return item

    stream = map_ordered(work, range(10), workers=workers)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(stream)


@WORKERS
def test_an_error_in_the_items_themselves_comes_through(workers: int) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(map_ordered(lambda item: item, items(), workers=workers))


@WORKERS
def test_stopping_early_leaves_no_thread_behind(workers: int) -> None:
    before = threading.active_count()
    stream = map_ordered(lambda item: item, range(100), workers=workers)
    assert next(iter(stream)) == 0
    stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@WORKERS
def test_nothing_to_do_gives_nothing(workers: int) -> None:
    assert list(map_ordered(str, [], workers=workers)) == []
