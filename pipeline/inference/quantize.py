"""From probabilities to what a store holds: values of 16 or 32 bits, their arg max and maximum, and how often each occurs.

It is computed on the device where the probabilities are: a GPU sends less, and counts faster.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.inference.predictor import Predictor, arg_max
from pipeline.params import Kept
from pipeline.softmax_store.quantized_map import ABOVE_ONE, SUM_TOLERANCE, TIES, QuantizedMap, precision_of

_TYPES = {"float16": (torch.float16, torch.int16), "float32": (torch.float32, torch.int32)}


@torch.inference_mode()
def quantize(probs: Tensor | NDArray[np.float32], *, floor: float, dtype: str, keep: Kept) -> QuantizedMap:
    """Round probabilities and derive everything else from the rounded values, so that all later steps agree.

    Args:
        probs: (C, H, W) float32, each pixel sums to 1, on any device.
        floor: probabilities below it become 0; below 1/C no confidence is touched.
        dtype: `float16` or `float32`.
        keep: `largest` leaves the map itself on the device; everything derived from it is the same.

    Raises:
        ValueError: a value is not finite or outside [0, 1], or those of a pixel do not sum to 1.
    """
    probs = torch.as_tensor(probs)
    num_classes = len(probs)
    precision = precision_of(dtype, num_classes)
    bits = _round(probs, floor=floor, dtype=dtype)
    # After it, which refuses NaN. 2 to 10 % of what this function takes.
    least, most = (value.item() for value in probs.sum(dim=0).aminmax())
    if not (least >= 1 - SUM_TOLERANCE and most <= 1 + SUM_TOLERANCE):
        raise ValueError(
            f"softmax map - expected probabilities that sum to 1 - found pixels that sum to {least:.4g} to {most:.4g}"
            " - check the teacher's weights"
        )
    confidence = bits.amax(dim=0)
    values = confidence.view(_TYPES[dtype][0])
    columns = (confidence.long() >> precision.shift) - precision.lowest
    assert int(columns.amin().item()) >= 0, "the largest of C values that sum to 1 is at least 1/C"
    prediction = arg_max(bits)
    counts = _count(prediction * precision.num_columns + columns, num_classes, precision.num_columns)
    return QuantizedMap(
        softmax=(bits if keep == "all" else bits[:0]).view(_TYPES[dtype][0]).cpu().numpy(),
        prediction=prediction.to(torch.uint8).cpu().numpy(),
        confidence=values.cpu().numpy(),
        counts=counts.to(torch.int32).cpu().numpy().view("uint32"),
        ties=_count_ties(probs, prediction, values).to(torch.int32).cpu().numpy(),
    )


@torch.inference_mode()
def predict_rounded(image: NDArray[np.uint8], *, predictor: Predictor, floor: float, dtype: str) -> NDArray[np.floating[Any]]:
    """Predict one image, (H, W, 3) uint8, and return what a store would hold of its probabilities, (C, H, W) of `dtype`.

    Raises:
        ValueError: a probability is not finite or outside [0, 1].
    """
    bits = _round(torch.from_numpy(predictor.probabilities(image)), floor=floor, dtype=dtype)
    rounded: NDArray[np.floating[Any]] = bits.view(_TYPES[dtype][0]).numpy()
    return rounded


def _round(probs: Tensor, *, floor: float, dtype: str) -> Tensor:
    """Return the bit patterns of the rounded values: those of non-negative values order like them, and compare faster."""
    lowest, highest = (value.item() for value in probs.aminmax())
    # NaN fails every comparison.
    if not (lowest >= 0.0 and highest <= 1.0 + ABOVE_ONE):
        raise ValueError(
            f"softmax map - expected finite probabilities in [0, 1] - found {lowest} to {highest} - check the teacher's weights"
        )
    float_type, int_type = _TYPES[dtype]
    # One copy, then in place: on a CPU, new memory of this size costs more than what is computed in it. In float16, what exceeds
    # 1 by rounding is 1; of zeros, the sign is dropped.
    rounded = probs.to(float_type) if dtype == "float16" else probs.clamp(max=1.0)
    bits = rounded.abs_().view(int_type)
    if floor > 0:
        bits.masked_fill_(bits < torch.tensor(floor, dtype=float_type).view(int_type).item(), 0)
    return bits


def _count_ties(probs: Tensor, prediction: Tensor, confidence: Tensor) -> Tensor:
    """Count the pixels that nothing tells apart, because their confidence is the largest value.

    The log odds log(p / (1 - p)) of the most probable class take 1 - p from the probabilities of the others, which float32
    keeps however small they are: they are infinite only where all others have underflowed to 0.

    Returns:
        (C, 3): pixels predicted as each class with the largest confidence, on each scale of `TIES`.
    """
    tied = confidence.to(torch.float16) == 1
    # Those of the other scales are among them.
    masks = (tied, tied & (probs.amax(dim=0) >= 1), tied & ((probs > 0).sum(dim=0, dtype=torch.uint8) == 1))
    assert len(masks) == len(TIES)
    # Pixels of no tie are counted in one class more, which is left out.
    counts = [_count(torch.where(mask, prediction, len(probs)), len(probs) + 1, 1)[:-1, 0] for mask in masks]
    return torch.stack(counts, dim=1)


def _count(joint: Tensor, num_classes: int, num_columns: int) -> Tensor:
    return torch.bincount(joint.flatten(), minlength=num_classes * num_columns).reshape(num_classes, num_columns)
