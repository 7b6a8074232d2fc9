"""What is stored of a softmax map, against what numpy makes of it; on a GPU the same code runs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.inference.quantize import quantize
from pipeline.softmax_store.quantized_map import precision_of
from tests.softmax_store.cases import count_confidences, entry

DTYPES = ("float16", "float32")


def softmax_of(seed: int, num_classes: int, spread: float = 4.0) -> NDArray[np.float32]:
    """Rounded logits tie often; wide ones underflow to 0 and saturate at 1."""
    logits = np.random.default_rng(seed).normal(0, spread, (num_classes, 9, 7)).round().astype(np.float32)
    probs: NDArray[np.float32] = torch.from_numpy(logits).softmax(dim=0).numpy()
    return probs


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 19), st.floats(0.1, 60.0), st.sampled_from([0.0, 1e-3, 0.04]),
    st.sampled_from(DTYPES),
)  # fmt: skip
def test_everything_is_that_of_the_rounded_values(seed: int, classes: int, spread: float, floor: float, dtype: str) -> None:
    probs = softmax_of(seed, classes, spread)
    found = quantize(probs, floor=floor, dtype=dtype, keep="all")
    with np.errstate(under="ignore"):
        rounded = np.minimum(probs, 1).astype(dtype)
    expected = np.where(rounded >= np.array(floor, dtype), rounded, np.zeros(1, dtype))
    np.testing.assert_array_equal(found.softmax.view(np.uint8), expected.view(np.uint8))
    np.testing.assert_array_equal(found.prediction, expected.argmax(axis=0))
    np.testing.assert_array_equal(found.confidence, expected.max(axis=0))
    np.testing.assert_array_equal(found.counts, count_confidences(found.prediction, found.confidence, classes, dtype))
    largest = quantize(probs, floor=floor, dtype=dtype, keep="largest")
    assert largest.softmax.shape == (0, *probs.shape[1:])
    for name in ("prediction", "confidence", "counts", "ties"):
        np.testing.assert_array_equal(getattr(largest, name), getattr(found, name))
    types = [array.dtype for array in (found.softmax, found.prediction, found.confidence, found.counts, found.ties)]
    assert types == [dtype, np.uint8, dtype, np.uint32, np.int32]
    assert [int(count) for count in found.ties.sum(axis=0)] == [
        int((expected.max(axis=0).astype(np.float16) == 1).sum()),
        int((probs.max(axis=0) >= 1).sum()),
        int(((probs > 0).sum(axis=0) == 1).sum()),
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_signed_zeros_ties_and_a_sum_rounded_above_one_are_stored_as_what_they_mean(dtype: str) -> None:
    columns = [(0.5, 0.5, -0.0), (0.0, 1.0000001, 0.0), (0.25, 0.25, 0.5), (1.0, 0.0, 0.0), (0.75, 0.25, 0.0)]
    probs = np.array(columns, np.float32).T.reshape(3, 5, 1)
    found = entry(probs, dtype=dtype)
    assert found.prediction.ravel().tolist() == [0, 1, 2, 0, 0]
    assert found.confidence.ravel().tolist() == [0.5, 1.0, 0.5, 1.0, 0.75]
    assert not np.signbit(found.softmax).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 19), st.floats(0.0, 0.999))
def test_a_floor_below_one_over_c_leaves_arg_max_and_confidence_unchanged(seed: int, classes: int, share: float) -> None:
    probs = softmax_of(seed, classes)
    plain, floored = entry(probs), entry(probs, floor=share / classes)
    np.testing.assert_array_equal(floored.prediction, plain.prediction)
    np.testing.assert_array_equal(floored.confidence, plain.confidence)
    np.testing.assert_array_equal(floored.counts, plain.counts)
    kept = plain.softmax >= np.float16(share / classes)
    np.testing.assert_array_equal(floored.softmax, np.where(kept, plain.softmax, 0))


def test_prediction_and_confidence_are_those_of_the_stored_values_and_the_lowest_class_wins_a_tie() -> None:
    probs = np.array([0.1, 0.44999, 0.45001], np.float32).reshape(3, 1, 1)
    found = entry(probs)
    assert found.prediction.item() == 1
    assert found.confidence.item() == np.float16(0.45)
    column = precision_of("float16", 3).values.searchsorted(np.float16(0.45))
    assert found.counts[1, column] == found.counts.sum() == 1


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_every_value_that_the_larger_of_two_probabilities_can_have_is_counted_in_its_column(dtype: str) -> None:
    values = precision_of(dtype, 2).values.astype(np.float32)
    found = entry(np.stack([values, 1 - values])[:, None], dtype=dtype)
    larger = values > 0.5
    assert (found.counts[0, larger] == 1).all()
    assert found.counts[0, ~larger].sum() + found.counts[1].sum() == (~larger).sum()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("whole", [2.0, 1.01, 0.99, 0.9, 0.5, 0.0])
def test_a_pixel_that_does_not_sum_to_1_is_refused(dtype: str, whole: float) -> None:
    probs = np.full((4, 2, 2), 0.25, np.float32)
    probs[:, 1, 1] *= whole
    with pytest.raises(ValueError, match=r"expected probabilities that sum to 1 - found pixels that sum to") as error:
        entry(probs, dtype=dtype)
    assert "\n" not in str(error.value)


def test_the_given_probabilities_are_left_alone() -> None:
    probs = softmax_of(0, 4)
    before = probs.tobytes()
    for dtype in DTYPES:
        quantize(probs, floor=0.2, dtype=dtype, keep="all")
    assert probs.tobytes() == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5, 1.01, 1e6, 3e38, -0.5, -1e-3, -3.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_that_is_no_probability_is_refused(value: float, dtype: str) -> None:
    probs = softmax_of(0, 3)
    probs[1, 2, 3] = value
    with pytest.raises(ValueError, match="expected finite probabilities") as error:
        quantize(probs, floor=1e-3, dtype=dtype, keep="all")
    assert "\n" not in str(error.value)


def test_ties_are_counted_on_every_scale() -> None:
    largest_below_one = float(np.nextafter(np.float32(1), np.float32(0)))
    pixels = [
        (0.6, 0.4, 0.0),  # no tie
        (0.9999, 1e-4, 0.0),  # tied in float16 alone
        (largest_below_one, 6e-8, 0.0),
        (1.0, 1e-9, 0.0),  # tied in float32, but of finite odds
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 1e-30),
    ]
    probs = np.array(pixels, np.float32).T.reshape(3, 2, 3)
    for dtype in ("float16", "float32"):
        assert entry(probs, dtype=dtype).ties.tolist() == [[4, 2, 1], [1, 1, 0], [0, 0, 0]]


def test_rounding_is_that_of_numpy_for_every_kind_of_value() -> None:
    halves = np.arange(0x3C01, dtype=np.uint16).view(np.float16).astype(np.float64)
    between = (halves[1:] + halves[:-1]) / 2
    others = [2**-25, 2**-26, 1e-38, 1e-45, -0.0, 1.000009]
    values = np.concatenate([halves, between, np.nextafter(between, 0), np.nextafter(between, 1), others])
    random = np.random.default_rng(0).random(9999) ** 9
    probs = np.concatenate([values, random]).astype(np.float32)
    with np.errstate(under="ignore"):
        expected = probs.astype(np.float16)
    # The other class makes it a distribution; rounding looks at no other value.
    found = entry(np.stack([probs, np.clip(1 - probs, 0, 1)])[:, None])
    np.testing.assert_array_equal(found.softmax[0, 0].view(np.uint16), np.abs(expected).view(np.uint16))
