"""The statistics of a round: put together from counts, read back, and refused where damaged."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.divergence import divergence
from pipeline.evaluation.confusion import confusion_matrix
from pipeline.statistics.classes import appearance, group_of, seen_area
from pipeline.statistics.describe import confidence_histograms, describe_round
from pipeline.statistics.judge import PseudoLabelCounts
from pipeline.statistics.regions import no_regions
from pipeline.statistics.round_statistics import RoundStatistics
from tests.labeling.cases import solve
from tests.strategies import FLOAT16_VALUES, NUM_VALUES

PRIORS = np.array([0.5, 0.3, 0.2])
TIES = np.array([[600, 200, 0], [50, 0, 0], [0, 0, 0]])


def counts() -> np.ndarray:
    table = np.zeros((3, NUM_VALUES), np.int64)
    table[0, -1] = 600  # all of the road at 1.0
    table[1, FLOAT16_VALUES.searchsorted(np.float16(0.75))] = 300
    table[1, -1] = 50
    table[2, FLOAT16_VALUES.searchsorted(np.float16(0.5))] = 100
    return table


def described(*, confusion: np.ndarray | None = None) -> RoundStatistics:
    selection = solve("dars", counts(), PRIORS, 0.4)
    known = np.zeros((3, 4), np.int64) if confusion is None else confusion
    return describe_round(
        selection,
        PseudoLabelCounts(np.array(selection.realized_counts), known, no_regions()),
        dtype="float16",
        counts=counts(),
        values=FLOAT16_VALUES,
        ties=TIES,
        labeled_shares=PRIORS,
        frequencies=[1.0, 0.6, 0.2],
        sizes=[0.5, 0.02, 0.3],
    )


def test_alignment_alone_exceeds_its_targets_where_confidences_tie_and_drawing_does_not() -> None:
    statistics = described()
    road = statistics.classes[0]
    assert (road.target, road.pseudo_labeled, road.qualifying, road.at_top) == (210, 210, 600, 600)
    assert isinstance(statistics.kl.qualifying.value, float)
    assert isinstance(statistics.kl.pseudo_labeled.value, float)
    assert statistics.kl.qualifying.value > 0.04
    assert statistics.kl.pseudo_labeled.value < 1e-6
    assert statistics.kl.targets == statistics.kl.pseudo_labeled
    assert statistics.coverage == pytest.approx(0.4, abs=1e-3)
    assert (road.tied_float16, road.tied_float32, road.tied_log_odds) == (600, 200, 0)
    assert (road.pseudo_labeled, road.predicted) == (210, 600)


def test_without_true_labels_nothing_is_said_of_being_right() -> None:
    statistics = described()
    assert statistics.regions is None
    for name in ("true", "precision", "recall"):
        assert {getattr(entry, name) for entry in statistics.classes} == {None}
    assert statistics.accuracy is None
    assert statistics.kl_true.value is None


def test_precision_and_true_pixels_come_from_the_confusion() -> None:
    statistics = described(confusion=np.array([[90, 0, 0, 10], [10, 5, 0, 5], [0, 0, 0, 7]]))
    assert [entry.true for entry in statistics.classes] == [100, 20, 7]
    assert [entry.precision for entry in statistics.classes] == [0.9, 1.0, None]
    assert statistics.regions is not None


@given(st.lists(st.tuples(st.sampled_from((0, 1, 2, 255)), st.sampled_from((0, 1, 2, 255))), min_size=1, max_size=50))
def test_pseudo_labels_are_judged_pixel_by_pixel(pixels: list[tuple[int, int]]) -> None:
    table = np.array(pixels, np.uint8)
    statistics = described(confusion=confusion_matrix(table[:, 0], table[:, 1], 3))
    judged = [(true, label) for true, label in pixels if true != 255 and label != 255]
    trues = [sum(1 for true, _ in pixels if true == label) for label in range(3)]
    assert statistics.kl_true == divergence(trues, [sum(1 for _, label in judged if label == index) for index in range(3)])
    right = [true for true, label in judged if true == label]
    assert statistics.accuracy == (len(right) / len(judged) if judged else None)
    for index, entry in enumerate(statistics.classes):
        given_pixels = sum(1 for _, label in judged if label == index)
        assert entry.precision == (right.count(index) / given_pixels if given_pixels else None)
        assert entry.recall == (right.count(index) / trues[index] if trues[index] else None)


def test_histograms_hold_every_pixel_once_in_its_bin() -> None:
    histograms = confidence_histograms(counts(), FLOAT16_VALUES)
    assert histograms.sum(axis=1).tolist() == [600, 350, 100]
    assert histograms[0, 49] == 600
    assert histograms[1, 37] == 300
    assert histograms[2, 25] == 100


def test_classes_are_grouped_by_how_often_and_how_large_they_appear() -> None:
    images = [np.array([500, 10, 0, 0]), np.array([500, 10, 300, 0]), np.array([400, 0, 0, 0])]
    frequencies, sizes = appearance(images, 4, crop_area=1000)
    assert frequencies == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert sizes == pytest.approx([1400 / 3000, 0.01, 0.3, 0])
    groups = [group_of(frequency, size) for frequency, size in zip(frequencies, sizes, strict=True)]
    assert groups == ["frequent, large", "frequent, small", "rare, large", "rare, small"]


def test_a_class_is_as_large_as_crops_of_scaled_images_show_it() -> None:
    def area(crop: int, low: float, high: float) -> float:
        return seen_area(crop=(crop, crop), scales=(low, high))

    assert area(100, 1, 1) == 10_000
    assert area(100, 2, 2) == 2_500
    mean = float(np.mean(np.random.default_rng(0).uniform(0.25, 1, 200_000) ** 2))
    assert area(361, 0.25, 1) == pytest.approx(361**2 / mean, rel=0.01)
    # Cityscapes, where a pole covers 22,104 pixels of an image at least: the paper's example of what is frequent and small,
    # at half resolution as at full.
    for sizes in (area(361, 0.25, 1), area(713, 0.5, 2)):
        assert group_of(0.99, 22_104 / sizes) == "frequent, small"


def test_statistics_read_back_and_damage_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    described().write(path)
    assert RoundStatistics.read(path) == described()
    for text in ("", "{}", path.read_text().replace('"classes"', '"klasses"')):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"statistics\.json - .*run the stage `statistics`") as error:
            RoundStatistics.read(path)
        assert "\n" not in str(error.value)
