import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.divergence import EPSILON, describe_kl, kl_divergence
from pipeline.evaluation.confusion import confusion_matrix
from pipeline.evaluation.pseudo_label_quality import pseudo_label_metrics
from pipeline.files import write_json
from tests import reference

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=19)


@given(COUNTS, st.data())
def test_the_divergence_is_that_of_the_definition(counts: list[int], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.integers(0, 10**9), min_size=len(counts), max_size=len(counts)))
    assume(any(counts) and any(others))
    expected = reference.kl(counts, others)
    assert kl_divergence(counts, others) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert kl_divergence(counts, others) >= 0


@given(COUNTS.filter(any), st.integers(1, 1000))
def test_the_divergence_of_a_distribution_from_itself_is_zero_at_any_scale(counts: list[int], factor: int) -> None:
    assert kl_divergence(counts, [count * factor for count in counts]) == pytest.approx(0, abs=1e-12)


def test_an_absent_class_makes_the_divergence_infinite_but_not_the_smoothed_one() -> None:
    assert kl_divergence([0.5, 0.5], [3, 0]) == math.inf
    described = describe_kl([0.5, 0.5], [3, 0])
    smoothed = [1 + EPSILON, EPSILON]
    assert described["value"] == "inf"
    assert described["smoothed"] == pytest.approx(reference.kl([0.5, 0.5], smoothed), rel=1e-12)
    assert described["epsilon"] == EPSILON


def test_a_class_that_only_the_pseudo_labels_have_adds_nothing_of_its_own() -> None:
    assert kl_divergence([1, 0], [1, 1]) == pytest.approx(math.log(2))


def test_the_divergence_without_any_pixel_is_not_a_number_and_null_in_json() -> None:
    for reference_counts, others in (([1, 1], [0, 0]), ([0, 0], [1, 1])):
        assert math.isnan(kl_divergence(reference_counts, others))
        assert describe_kl(reference_counts, others) == {"value": None, "smoothed": None, "epsilon": EPSILON}


@given(COUNTS.filter(any), st.data())
def test_what_is_described_can_always_be_written_as_json(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], data: st.DataObject
) -> None:
    others = data.draw(st.lists(st.integers(0, 5), min_size=len(counts), max_size=len(counts)))
    write_json(tmp_path_factory.getbasetemp() / "kl.json", describe_kl(counts, others))


@given(st.lists(st.tuples(st.sampled_from((0, 1, 2, 255)), st.sampled_from((0, 1, 2, 255))), min_size=1, max_size=50))
def test_pseudo_labels_are_judged_pixel_by_pixel(pixels: list[tuple[int, int]]) -> None:
    table = np.array(pixels, np.uint8)
    counts = np.array([sum(1 for _, given_label in pixels if given_label == label) for label in range(3)])
    priors = np.array([0.5, 0.3, 0.2])
    confusion = confusion_matrix(table[:, 0], table[:, 1], 3)
    metrics = pseudo_label_metrics(counts, confusion, priors, ("a", "b", "c"), pixels=len(pixels))
    assert metrics["coverage"] == sum(1 for _, label in pixels if label != 255) / len(pixels)
    assert metrics["kl"] == describe_kl(priors, counts)
    judged = [(true, label) for true, label in pixels if true != 255 and label != 255]
    trues = [sum(1 for true, _ in pixels if true == label) for label in range(3)]
    assert metrics["kl_true"] == describe_kl(trues, [sum(1 for _, label in judged if label == index) for index in range(3)])
    right = [true for true, label in judged if true == label]
    assert metrics["accuracy"] == (len(right) / len(judged) if judged else None)
    for index, name in enumerate(("a", "b", "c")):
        given_pixels = sum(1 for _, label in judged if label == index)
        true_pixels = sum(1 for true, _ in pixels if true == index)
        precision, recall = metrics["precision"], metrics["recall"]
        assert isinstance(precision, dict)
        assert isinstance(recall, dict)
        assert precision[name] == (right.count(index) / given_pixels if given_pixels else None)
        assert recall[name] == (right.count(index) / true_pixels if true_pixels else None)


def test_without_known_truth_only_coverage_and_distribution_are_measured() -> None:
    metrics = pseudo_label_metrics(np.array([3, 1]), np.zeros((2, 3), np.int64), np.array([0.75, 0.25]), ("a", "b"), pixels=8)
    assert metrics["coverage"] == 0.5
    assert metrics["accuracy"] is None
    assert metrics["precision"] == metrics["recall"] == {"a": None, "b": None}
