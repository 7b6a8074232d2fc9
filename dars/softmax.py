"""Softmax maps of anybody's network as a round's store holds them: rounded, then their arg max, their maximum and counts.

What `pipeline.inference.quantize` does with torch where a network runs, for those who have arrays alone.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.softmax_store.quantized_map import ABOVE_ONE, SUM_TOLERANCE, Precision


class Rounded(NamedTuple):
    """What labeling reads of one map."""

    prediction: NDArray[np.uint8]
    """(H, W), the lowest class among ties."""
    confidence: NDArray[np.floating[Any]]
    """(H, W) in [0, 1], of the precision."""


def round_maps(softmax: Iterable[ArrayLike], precision: Precision, num_classes: int) -> Iterator[Rounded]:
    """Round one map after the other and derive everything else from the rounded values, as `infer` does.

    Args:
        softmax: (C, H, W) each, in [0, 1]; each pixel sums to 1.
        precision: of what is stored.
        num_classes: C.

    Raises:
        ValueError: a map has another shape, a value is not finite or outside [0, 1], or those of a pixel do not sum to 1.
    """
    for index, given in enumerate(softmax):
        probs = np.asarray(given, np.float32)
        _check(probs, num_classes, where=f"softmax map {index}")
        # Bit patterns of non-negative values order like them, and compare many times faster than float16.
        bits = np.abs(np.minimum(probs, np.float32(1)).astype(precision.dtype)).view(precision.bits)
        prediction, highest = np.zeros(bits.shape[1:], np.uint8), bits[0].copy()
        for label, own in enumerate(bits[1:], start=1):
            np.copyto(prediction, label, where=own > highest)
            np.maximum(highest, own, out=highest)
        yield Rounded(prediction, highest.view(precision.dtype))


def count_confidences(rounded: Rounded, precision: Precision, num_classes: int) -> NDArray[np.int64]:
    """Return (C, B) int64: pixels predicted as each class in each column of confidences."""
    joint = rounded.prediction.ravel() * np.int64(precision.num_columns) + precision.columns(rounded.confidence.ravel())
    return np.bincount(joint, minlength=num_classes * precision.num_columns).reshape(num_classes, -1)


def _check(probs: NDArray[np.float32], num_classes: int, *, where: str) -> None:
    if probs.ndim != 3 or len(probs) != num_classes or not probs.size:
        raise ValueError(f"{where} - expected ({num_classes}, H, W), a class for each prior - found {probs.shape} - transpose it")
    lowest, highest = float(probs.min()), float(probs.max())
    # NaN fails every comparison.
    if not (lowest >= 0 and highest <= 1 + ABOVE_ONE):
        raise ValueError(
            f"{where} - expected finite probabilities in [0, 1] - found {lowest:g} to {highest:g} - give the softmax, not logits"
        )
    sums = probs.sum(axis=0)
    least, most = float(sums.min()), float(sums.max())
    if not (least >= 1 - SUM_TOLERANCE and most <= 1 + SUM_TOLERANCE):
        raise ValueError(
            f"{where} - expected probabilities that sum to 1 - found pixels that sum to {least:.4g} to {most:.4g}"
            " - give the softmax over all classes"
        )
