from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.evaluation.val_curve import measure_curve, spread
from pipeline.samples.images import write_label_png
from pipeline.samples.sample_lists import Sample
from tests.training.cases import CATALOG


def test_each_point_has_the_measures_of_its_network_on_all_samples(tmp_path: Path) -> None:
    labels = np.array([[0, 0, 1], [1, 0, 0]], np.uint8)
    samples = []
    for name in "ab":
        write_label_png(tmp_path / f"{name}.png", labels, CATALOG.colors)
        samples.append(Sample(name, 2, 3, tmp_path / "none", "", tmp_path / f"{name}.png", ""))

    def predict(checkpoint: Path, chosen: Sequence[Sample]) -> Iterator[NDArray[np.uint8]]:
        for sample in chosen:
            right = checkpoint.name == "last" or sample.image_id == "a"
            yield labels if right else np.zeros_like(labels)

    tail, checkpoints = np.array([False, True]), {5: tmp_path / "first", 9: tmp_path / "last"}
    curve = measure_curve(checkpoints, samples, predict, CATALOG, tail, known={}, progress=lambda items, **_: items)
    assert curve.images == 2
    first, last = curve.points
    # All eight pixels of class 0 are found, and two of class 1 taken for it; of class 1 two of four are found.
    assert [point.step for point in curve.points] == [5, 9]
    assert first.mean_iou == pytest.approx((8 / 10 + 2 / 4) / 2)
    assert first.tail_mean_iou == 0.5
    assert last.mean_iou == last.tail_mean_iou == 1.0
    assert measure_curve({}, [], predict, CATALOG, tail, known={}, progress=lambda items, **_: items).points == ()


def test_a_network_that_is_measured_already_is_not_measured_again(tmp_path: Path) -> None:
    def predict(checkpoint: Path, chosen: Sequence[Sample]) -> Iterator[NDArray[np.uint8]]:
        raise AssertionError(f"{checkpoint} - {chosen}")

    known = {tmp_path / "last": np.array([[3, 1, 0], [0, 4, 0]])}
    tail = np.array([False, True])
    curve = measure_curve({9: tmp_path / "last"}, [], predict, CATALOG, tail, known=known, progress=lambda items, **_: items)
    assert [point.mean_iou for point in curve.points] == [pytest.approx((3 / 4 + 4 / 5) / 2)]


@given(st.integers(1, 200), st.integers(1, 250))
def test_items_are_spread_evenly_and_there_are_as_many_as_asked_for(count: int, most: int) -> None:
    chosen = list(spread(range(count), most))
    assert len(chosen) == min(count, most)
    gaps = set(np.diff([*chosen, count]).tolist())
    assert max(gaps) - min(gaps) <= 1
    assert chosen[0] == 0


def test_without_a_bound_all_are_taken() -> None:
    assert list(spread("abc", None)) == ["a", "b", "c"]
