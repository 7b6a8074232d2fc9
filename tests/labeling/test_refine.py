"""Two radix passes over float32 confidences against sorting them."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.pseudo_labels import count_drawable_pixels, label_image
from pipeline.labeling.refine import refine, threshold_columns
from pipeline.labeling.sampling import draw_quotas
from pipeline.labeling.solve import METHODS, solve_class_thresholds
from pipeline.selection import Selection
from pipeline.softmax_store.quantized_map import precision_of
from tests import reference
from tests.labeling.test_methods import assert_same_counts
from tests.softmax_store.cases import count_confidences
from tests.strategies import class_priors, labeling_ratios

ONE = int(np.float32(1).view(np.uint32))
# Neighbors in float32 that float16 and the first pass cannot tell apart, ends of columns among them.
PATTERNS = (ONE, ONE - 1, ONE - 2, ONE - 40_000, ONE - 65_536, ONE - 65_537, 0x3F000000, 0x3F000001, 0x3F00FFFF, 0x3F010000)
VALUES = np.array(PATTERNS, np.uint32).view(np.float32)


@st.composite
def pixels(draw: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.float32], int]:
    """Predictions and confidences of a 1 x P image, and the number of classes; many values tie, classes may be absent."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    classes = draw(st.integers(2, 4))
    count = draw(st.integers(1, 60))
    present = rng.choice(classes, draw(st.integers(1, classes)), replace=False)
    return rng.choice(present, (1, count)).astype(np.uint8), rng.choice(VALUES, (1, count)), classes


def solve(
    method: str, prediction: NDArray[np.uint8], confidence: NDArray[np.float32], priors: NDArray[np.float64], alpha: float,
    *, equal_pixels: bool, thin: str, st_confidence: float | None = None,
) -> Selection:  # fmt: skip
    counts = count_confidences(prediction, confidence, len(priors), "float32").astype(np.int64)
    precision = precision_of("float32", len(priors))
    problem = Problem(counts, precision.values, priors, alpha, equal_pixels, st_confidence, thin)
    columns = threshold_columns(method, problem)
    finer = np.zeros((len(priors), precision.finer_columns), np.int64)
    for label, pattern in zip(prediction.ravel().tolist(), confidence.ravel().view(np.uint32).tolist(), strict=True):
        if (pattern >> 16) - precision.lowest == columns[label]:
            finer[label, pattern & 0xFFFF] += 1
    return solve_class_thresholds(
        method, refine(problem, columns, finer), class_names=[f"c{index}" for index in range(len(priors))]
    )


def by_class(prediction: NDArray[np.uint8], confidence: NDArray[np.float32], classes: int) -> Sequence[Sequence[float]]:
    return [confidence[prediction == label].astype(float).tolist() for label in range(classes)]


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25, deadline=None)
@given(image=pixels(), alpha=labeling_ratios(), equal_pixels=st.booleans(), thin=st.sampled_from(("all", "ties")), data=st.data())
def test_every_method_equals_sorting(
    method: str, image: tuple[NDArray[np.uint8], NDArray[np.float32], int], alpha: float, equal_pixels: bool, thin: str,
    data: st.DataObject,
) -> None:  # fmt: skip
    prediction, confidence, classes = image
    priors = data.draw(class_priors(classes))
    values = by_class(prediction, confidence, classes)
    expected = reference.solve(method, values, priors.tolist(), alpha=alpha, equal_pixels=equal_pixels, thin=thin)
    shares = [Fraction(q) for q in expected.qualifying] if method == "st" else [Fraction(prior) for prior in priors.tolist()]
    assume(reference.is_decided(sum(expected.targets), shares))
    selection = solve(method, prediction, confidence, priors, alpha, equal_pixels=equal_pixels, thin=thin)
    assert list(selection.targets) == expected.targets
    assert_same_counts(selection, expected)
    # A class without a qualifying pixel needs no threshold of a certain value; where one qualifies, it is the sorted one.
    for ours, theirs, count in zip(selection.class_thresholds, expected.thresholds, expected.qualifying, strict=True):
        assert ours == theirs or not count


@pytest.mark.parametrize("threshold", [0.5, 0.50001, float(VALUES[3]), float(VALUES[1]), 0.9999999, 1.0])
@settings(max_examples=15, deadline=None)
@given(image=pixels())
def test_a_fixed_threshold_is_met_to_the_last_bit(
    threshold: float, image: tuple[NDArray[np.uint8], NDArray[np.float32], int]
) -> None:
    prediction, confidence, classes = image
    priors = np.full(classes, 1 / classes)
    selection = solve("st", prediction, confidence, priors, 0.5, equal_pixels=False, thin="all", st_confidence=threshold)
    qualifying = [sum(value >= threshold for value in values) for values in by_class(prediction, confidence, classes)]
    assert list(selection.qualifying_counts) == qualifying


@settings(max_examples=25, deadline=None)
@given(image=pixels(), alpha=labeling_ratios(), thin=st.sampled_from(("all", "ties")))
def test_pseudo_labels_hold_exactly_what_was_solved(
    image: tuple[NDArray[np.uint8], NDArray[np.float32], int], alpha: float, thin: str
) -> None:
    prediction, confidence, classes = image
    priors = np.full(classes, 1 / classes)
    selection = solve("dars", prediction, confidence, priors, alpha, equal_pixels=False, thin=thin)
    drawable = count_drawable_pixels(prediction, confidence, selection)
    [quota] = draw_quotas([drawable], selection.draws, seed=0, round_key="1")
    labels, given = label_image(prediction, confidence, selection, drawable, quota, seed=0, round_key="1", image_id="a")
    assert given.tolist() == list(selection.realized_counts)
    assert [int((labels == label).sum()) for label in range(classes)] == list(selection.realized_counts)
    assert (labels[labels != 255] == prediction[labels != 255]).all()
    for label, lowest in enumerate(selection.class_thresholds):
        assert lowest is None or (confidence[labels == label].astype(float) >= lowest).all()
