"""What a GPU computes of a softmax map is what the CPU computes, bit for bit; here torch's CPU stands in for it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.inference.quantize import quantize_tensor
from pipeline.softmax_store.quantize import QuantizedMap, quantize

DTYPES = ("float16", "float32")


def assert_same(one: QuantizedMap, other: QuantizedMap) -> None:
    for name in ("softmax", "prediction", "confidence", "counts", "ties"):
        left, right = getattr(one, name), getattr(other, name)
        assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 19),
    st.floats(0.1, 60.0),
    st.sampled_from([0.0, 1e-3, 0.04]),
    st.sampled_from(DTYPES),
)
def test_both_ways_agree(seed: int, classes: int, spread: float, floor: float, dtype: str) -> None:
    # Rounded logits tie often; wide ones underflow to 0 and saturate at 1.
    logits = np.random.default_rng(seed).normal(0, spread, (classes, 9, 7)).round().astype(np.float32)
    probs = torch.from_numpy(logits).softmax(dim=0)
    assert_same(quantize_tensor(probs, floor=floor, dtype=dtype), quantize(probs.numpy(), floor=floor, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_signed_zeros_ties_and_a_sum_rounded_above_one_agree(dtype: str) -> None:
    columns = [(0.5, 0.5, -0.0), (0.0, 1.0000001, 0.0), (0.25, 0.25, 0.5), (1.0, 0.0, 0.0), (0.99996, 4e-5, 0.0)]
    probs = np.array(columns, np.float32).T.reshape(3, 5, 1)
    assert_same(quantize_tensor(torch.from_numpy(probs), floor=0.0, dtype=dtype), quantize(probs, floor=0.0, dtype=dtype))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5, -0.5, 3e38])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_no_probability_is_refused_in_the_same_words(value: float, dtype: str) -> None:
    probs: NDArray[np.float32] = np.full((3, 4, 5), 0.25, np.float32)
    probs[1, 2, 3] = value
    messages = []
    for make in (quantize, lambda probs, **options: quantize_tensor(torch.from_numpy(probs), **options)):
        with pytest.raises(ValueError, match="expected finite probabilities") as caught:
            make(probs, floor=0.0, dtype=dtype)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_pixel_without_probability_is_refused() -> None:
    probs = torch.full((3, 2, 2), 1 / 3)
    probs[:, 1, 1] = 0
    with pytest.raises(ValueError, match="found a pixel whose largest is 0"):
        quantize_tensor(probs, floor=0.0, dtype="float16")
