import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.segmentation import iou, mean_iou
from pipeline.evaluation.val_curve import build_point, spread


def test_a_point_has_the_measures_of_its_confusion() -> None:
    confusion = np.array([[8, 1, 1], [2, 5, 0]])
    point = build_point(7, confusion, np.array([False, True]))
    assert (point.step, point.mean_iou) == (7, mean_iou(iou(confusion)))
    assert point.tail_mean_iou == pytest.approx(5 / 8)


@given(st.integers(1, 200), st.integers(1, 250))
def test_items_are_spread_evenly_and_there_are_as_many_as_asked_for(count: int, most: int) -> None:
    chosen = list(spread(range(count), most))
    assert len(chosen) == min(count, most)
    gaps = set(np.diff([*chosen, count]).tolist())
    assert max(gaps) - min(gaps) <= 1
    assert chosen[0] == 0


def test_without_a_bound_all_are_taken() -> None:
    assert list(spread("abc", None)) == ["a", "b", "c"]
