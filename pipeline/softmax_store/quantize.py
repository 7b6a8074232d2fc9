"""From probabilities to what is stored: values of 16 or 32 bits, their arg max and maximum, and how often each value occurs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Precision:
    """How the probabilities of some classes are stored, and how confidences are counted.

    Non-negative floating-point values order like their bit patterns, so counting patterns is sorting values. Those of float16
    are counted whole; those of float32 by their first 16 bits, and the rest only where a threshold lies.

    Attributes:
        dtype: `float16` or `float32`.
        bits: name of the unsigned type of the same size.
        shift: last bits that the counts leave out.
        lowest: the first column's pattern, without those bits. The largest of C probabilities is at least 1/C.
    """

    dtype: str
    bits: str
    shift: int
    lowest: int

    @property
    def highest(self) -> int:
        """The bit pattern of 1.0."""
        return int(np.ones((), self.dtype).view(self.bits))

    @property
    def num_columns(self) -> int:
        """B, columns of the counts: one for each (first part of a) pattern from that of `lowest` to that of 1.0."""
        return (self.highest >> self.shift) - self.lowest + 1

    @property
    def values(self) -> NDArray[np.floating[Any]]:
        """(B,) ascending: the smallest value that each column counts; of float16 the only one."""
        patterns = np.arange(self.lowest, self.lowest + self.num_columns, dtype=np.uint32) << self.shift
        values: NDArray[np.floating[Any]] = patterns.astype(self.bits).view(self.dtype)
        return values

    @property
    def finer_columns(self) -> int:
        """How many values share a column: 1 or 65536."""
        return 1 << self.shift

    def columns(self, confidence: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """Return the column that counts each value of `confidence`, an array of `dtype`."""
        return (confidence.view(self.bits).astype(np.int64) >> self.shift) - self.lowest


_SHIFTS = {"float16": 0, "float32": 16}

_ROUNDING = 0.99
"""A confidence may lie below 1/C by what sums of rounded probabilities lack to 1."""


def precision_of(dtype: str, num_classes: int) -> Precision:
    """Return how confidences over `num_classes` classes are counted in `float16` or `float32`."""
    bits = f"uint{8 * np.dtype(dtype).itemsize}"
    least = int(np.array(_ROUNDING / num_classes, dtype).view(bits))
    return Precision(dtype, bits, _SHIFTS[dtype], lowest=least >> _SHIFTS[dtype])


@dataclass(frozen=True)
class QuantizedMap:
    """One image's entry of the store.

    Attributes:
        softmax: (C, H, W) of the store's precision.
        prediction: (H, W) uint8, arg max of `softmax`; the lowest class among ties.
        confidence: (H, W), maximum of `softmax`.
        counts: (C, B) uint32, pixels predicted as a class in each column of confidences.
        ties: (C, 3) int32, pixels predicted as a class with the largest confidence, see `count_ties`.
    """

    softmax: NDArray[np.floating[Any]]
    prediction: NDArray[np.uint8]
    confidence: NDArray[np.floating[Any]]
    counts: NDArray[np.uint32]
    ties: NDArray[np.int32]


def quantize(probs: NDArray[np.float32], *, floor: float, dtype: str = "float16") -> QuantizedMap:
    """Round probabilities and derive everything else from the rounded values, so that all later steps agree.

    Args:
        probs: (C, H, W) float32, each pixel sums to 1.
        floor: probabilities below it become 0; below 1/C no confidence is touched.
        dtype: `float16` or `float32`.

    Raises:
        ValueError: a value is not finite or outside [0, 1], or those of a pixel do not sum to 1.
    """
    num_classes, height, width = probs.shape
    precision = precision_of(dtype, num_classes)
    check_range(float(probs.min()), float(probs.max()))
    softmax = to_float16(probs) if dtype == "float16" else np.minimum(probs, np.float32(1.0))
    # Non-negative values order like their bit patterns, and numpy's uint16 maximum is many times faster than that of float16.
    bits: NDArray[np.unsignedinteger[Any]] = softmax.view(precision.bits)
    bits &= bits.dtype.type(np.iinfo(bits.dtype).max >> 1)  # -0.0 is 0.0
    if floor > 0:
        bits[bits < np.array(floor, dtype).view(precision.bits)] = 0
    confidence = bits.max(axis=0)
    check_mass(int(confidence.min()), precision)
    prediction = bits.argmax(axis=0).astype(np.uint8)
    assert prediction.shape == (height, width)
    values = confidence.view(dtype)
    counts = count_confidences(prediction, values, num_classes, dtype=dtype)
    return QuantizedMap(softmax, prediction, values, counts, count_ties(probs, prediction, values))


def to_float16(probs: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round (C, ...) float32 in [0, 1 + 1e-5] to float16: equal to `probs.astype(np.float16)`, up to 30 times as fast.

    numpy raises the processor's underflow flag for every value below 2**-14, and most of a softmax map's values are.
    """
    rounded = np.empty(probs.shape, np.uint16)
    for target, plane in zip(rounded, probs, strict=True):
        bits = plane.view(np.uint32)
        # Round to nearest, ties to even: 23 bits of fraction become 10, and the exponent's bias 15 instead of 127.
        normal = (bits + np.uint32(0x0FFF) + ((bits >> np.uint32(13)) & np.uint32(1))) >> np.uint32(13)
        target[...] = normal - np.uint32((127 - 15) << 10)
        # The others are multiples of 2**-24; numpy rounds to even, too.
        tiny = plane < np.float32(2.0**-14)
        np.copyto(target, np.rint(plane * np.float32(2.0**24)).astype(np.uint16), where=tiny)
    return rounded.view(np.float16)


def check_range(lowest: float, highest: float) -> None:
    """Refuse a map whose smallest or largest value is no probability; NaN fails every comparison.

    A softmax in float32 may exceed 1 by rounding.
    """
    if not (lowest >= 0.0 and highest <= 1.0 + 1e-5):
        raise ValueError(
            f"softmax map - expected finite probabilities in [0, 1] - found {lowest} to {highest} - check the teacher's weights"
        )


def check_mass(least: int, precision: Precision) -> None:
    """Refuse a map whose least confidence, as a bit pattern, is too small for probabilities that sum to 1."""
    if least >> precision.shift < precision.lowest:
        found = float(np.array(least, precision.bits).view(precision.dtype))
        raise ValueError(
            f"softmax map - expected probabilities that sum to 1 - found a pixel whose largest is {found:.3g}"
            " - check the teacher's weights"
        )


TIES = ("float16", "float32", "log_odds")
"""Scales on which a confidence can be the largest there is: rounded to 1 in 16 or 32 bits, or odds without a finite logarithm."""


def count_ties(
    probs: NDArray[np.float32], prediction: NDArray[np.uint8], confidence: NDArray[np.floating[Any]]
) -> NDArray[np.int32]:
    """Count the pixels of one image that nothing tells apart, because their confidence is the largest value.

    The log odds log(p / (1 - p)) of the most probable class take 1 - p from the probabilities of the others, which float32
    keeps however small they are: they are infinite only where all others have underflowed to 0.

    Args:
        probs: (C, H, W) float32, each pixel sums to 1; not yet rounded.
        prediction: (H, W) uint8.
        confidence: (H, W), of the store's precision.

    Returns:
        (C, 3) int32: pixels predicted as each class with the largest confidence, on each scale of `TIES`.
    """
    tied = confidence.astype(np.float16, copy=False).view(np.uint16) == np.float16(1).view(np.uint16)
    # Those of the other scales are among them.
    columns, classes = probs[:, tied], prediction[tied]
    masks = (np.ones(len(classes), bool), columns.max(axis=0, initial=0.0) >= 1, (columns > 0).sum(axis=0) == 1)
    return np.stack([np.bincount(classes[mask], minlength=len(probs)) for mask in masks], axis=1).astype(np.int32)


def count_confidences(
    prediction: NDArray[np.uint8], confidence: NDArray[np.floating[Any]], num_classes: int, *, dtype: str
) -> NDArray[np.uint32]:
    """Return (C, B) uint32: pixels of one image predicted as each class, in each column of confidences."""
    precision = precision_of(dtype, num_classes)
    joint = prediction.ravel().astype(np.int64) * precision.num_columns + precision.columns(confidence.ravel())
    counts = np.bincount(joint, minlength=num_classes * precision.num_columns)
    return counts.reshape(num_classes, precision.num_columns).astype(np.uint32)
