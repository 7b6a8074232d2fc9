"""From probabilities to what is stored: float16 values, their arg max and maximum, and how often each value occurs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_VALUES = 0x3C00 + 1
"""Float16 values in [0, 1]: the bit patterns 0x0000 (0.0) to 0x3C00 (1.0), in the order of their values."""

CONFIDENCE_VALUES: NDArray[np.float16] = np.arange(NUM_VALUES, dtype=np.uint16).view(np.float16)
"""(15361,) float16, ascending: the confidence that each column of `confidence_counts` stands for."""


@dataclass(frozen=True)
class QuantizedMap:
    """One image's entry of the store.

    Attributes:
        softmax: (C, H, W) float16.
        prediction: (H, W) uint8, arg max of `softmax`; the lowest class among ties.
        confidence: (H, W) float16, maximum of `softmax`.
        counts: (C, 15361) uint32, pixels predicted as a class at each confidence.
    """

    softmax: NDArray[np.float16]
    prediction: NDArray[np.uint8]
    confidence: NDArray[np.float16]
    counts: NDArray[np.uint32]


def quantize(probs: NDArray[np.float32], *, floor: float) -> QuantizedMap:
    """Round probabilities to float16 and derive everything else from the rounded values, so that all later steps agree.

    Args:
        probs: (C, H, W) float32, each pixel sums to 1.
        floor: probabilities below it become 0; below 1/C no confidence is touched.

    Raises:
        ValueError: a value is not finite or outside [0, 1], or a pixel has no probability at all.
    """
    num_classes, height, width = probs.shape
    lowest, highest = float(probs.min()), float(probs.max())
    # A softmax in float32 may exceed 1 by rounding; float16 rounds that away. NaN fails every comparison.
    if not (lowest >= 0.0 and highest <= 1.0 + 1e-5):
        raise ValueError(
            f"softmax map - expected finite probabilities in [0, 1] - found {lowest} to {highest} - check the teacher's weights"
        )
    softmax = probs.astype(np.float16)
    # Non-negative float16 values order like their bit patterns, and numpy's uint16 maximum is many times faster.
    bits = softmax.view(np.uint16)
    bits &= np.uint16(0x7FFF)  # -0.0 is 0.0
    if floor > 0:
        bits[bits < np.float16(floor).view(np.uint16)] = 0
    confidence = bits.max(axis=0)
    if not int(confidence.min()):
        raise ValueError(
            "softmax map - expected probabilities that sum to 1 - found a pixel with none - check the teacher's weights"
        )
    prediction = bits.argmax(axis=0).astype(np.uint8)
    joint = prediction.ravel().astype(np.int64) * NUM_VALUES + confidence.ravel()
    counts = np.bincount(joint, minlength=num_classes * NUM_VALUES).reshape(num_classes, NUM_VALUES)
    assert prediction.shape == (height, width)
    return QuantizedMap(softmax, prediction, confidence.view(np.float16), counts.astype(np.uint32))
