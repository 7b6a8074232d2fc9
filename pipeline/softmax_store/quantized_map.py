"""What is stored of an image, and in what precision: values of 16 or 32 bits, and how confidences of them are counted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ABOVE_ONE = 1e-5
"""A softmax in float32 may exceed 1 by rounding."""
SUM_TOLERANCE = 1e-3
"""What the probabilities of a pixel may lack to 1, or exceed it by: far above rounding in float32, far below any mistake."""


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

    def count_finer(
        self, prediction: NDArray[np.uint8], confidence: NDArray[np.floating[Any]], columns: ArrayLike
    ) -> NDArray[np.int64]:
        """Count the values inside one column of each class, the second radix pass of float32.

        Args:
            prediction: (H, W) train ids of an image.
            confidence: (H, W) of `dtype`.
            columns: (C,) one column of the counts for each class.

        Returns:
            (C, F) int64: pixels predicted as each class whose confidence has that end of its bit pattern, ascending.
        """
        chosen, predicted, values = np.asarray(columns), prediction.ravel(), confidence.ravel()
        inside = self.columns(values) == chosen[predicted]
        ends = values[inside].view(self.bits).astype(np.int64) % self.finer_columns
        joint = predicted[inside].astype(np.int64) * self.finer_columns + ends
        return np.bincount(joint, minlength=len(chosen) * self.finer_columns).reshape(len(chosen), self.finer_columns)


_SHIFTS = {"float16": 0, "float32": 16}

_ROUNDING = 0.99
"""A confidence may lie below 1/C by what sums of rounded probabilities lack to 1."""


def precision_of(dtype: str, num_classes: int) -> Precision:
    """Return how confidences over `num_classes` classes are counted in `float16` or `float32`."""
    bits = f"uint{8 * np.dtype(dtype).itemsize}"
    least = int(np.array(_ROUNDING / num_classes, dtype).view(bits))
    return Precision(dtype, bits, _SHIFTS[dtype], lowest=least >> _SHIFTS[dtype])


TIES = ("float16", "float32", "log_odds")
"""Scales on which a confidence can be the largest there is: rounded to 1 in 16 or 32 bits, or odds without a finite logarithm."""


@dataclass(frozen=True)
class QuantizedMap:
    """One image's entry of the store.

    Attributes:
        softmax: (C, H, W) of the store's precision; (0, H, W) where the largest probabilities alone are kept.
        prediction: (H, W) uint8, arg max of the rounded map; the lowest class among ties.
        confidence: (H, W), its maximum.
        counts: (C, B) uint32, pixels predicted as a class in each column of confidences.
        ties: (C, 3) int32, pixels predicted as a class with the largest confidence, on each scale of `TIES`.
    """

    softmax: NDArray[np.floating[Any]]
    prediction: NDArray[np.uint8]
    confidence: NDArray[np.floating[Any]]
    counts: NDArray[np.uint32]
    ties: NDArray[np.int32]
