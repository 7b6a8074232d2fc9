"""What `pipeline.softmax_store.quantize` does, on the device where the probabilities are: a GPU sends less, and counts faster."""

import torch
from torch import Tensor

from pipeline.inference.predictor import arg_max
from pipeline.softmax_store.quantize import TIES, QuantizedMap, check_mass, check_range, precision_of

_TYPES = {"float16": (torch.float16, torch.int16), "float32": (torch.float32, torch.int32)}


def quantize_tensor(probs: Tensor, *, floor: float, dtype: str) -> QuantizedMap:
    """Round probabilities and derive everything else from the rounded values; equal to `quantize`, bit for bit.

    Args:
        probs: (C, H, W) float32, each pixel sums to 1, on any device.
        floor: probabilities below it become 0.
        dtype: `float16` or `float32`.

    Raises:
        ValueError: a value is not finite or outside [0, 1], or those of a pixel do not sum to 1.
    """
    num_classes = len(probs)
    precision = precision_of(dtype, num_classes)
    float_type, int_type = _TYPES[dtype]
    check_range(probs.amin().item(), probs.amax().item())
    bits = probs.clamp(max=1.0).to(float_type).view(int_type) & torch.iinfo(int_type).max
    if floor > 0:
        least = torch.tensor(floor, dtype=float_type).view(int_type).item()
        bits = bits.masked_fill(bits < least, 0)
    confidence = bits.amax(dim=0)
    check_mass(int(confidence.amin().item()), precision)
    prediction = arg_max(bits)
    columns = (confidence.long() >> precision.shift) - precision.lowest
    counts = _count(prediction * precision.num_columns + columns, num_classes, precision.num_columns)
    values = confidence.view(float_type)
    tied = values.to(torch.float16) == 1
    masks = (tied, tied & (probs.amax(dim=0) >= 1), tied & ((probs > 0).sum(dim=0) == 1))
    # Pixels of no tie are counted in one class more, which is left out.
    ties = [_count(torch.where(mask, prediction, num_classes), num_classes + 1, 1)[:num_classes, 0] for mask in masks]
    assert len(ties) == len(TIES)
    return QuantizedMap(
        softmax=bits.view(float_type).cpu().numpy(),
        prediction=prediction.to(torch.uint8).cpu().numpy(),
        confidence=values.cpu().numpy(),
        counts=counts.to(torch.int32).cpu().numpy().view("uint32"),
        ties=torch.stack(ties, dim=1).to(torch.int32).cpu().numpy(),
    )


def _count(joint: Tensor, num_classes: int, num_columns: int) -> Tensor:
    return torch.bincount(joint.flatten(), minlength=num_classes * num_columns).reshape(num_classes, num_columns)
