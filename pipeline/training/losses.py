"""Losses over pixels that have a label."""

from torch import Tensor
from torch.nn import functional

from pipeline.datasets.catalog import IGNORE_INDEX
from pipeline.models.pspnet import SegmentationOutput


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross entropy over the pixels that are not ignored.

    Args:
        logits: (B, C, H, W) float.
        labels: (B, H, W) int64, train ids and 255 = ignored.

    Returns:
        Scalar; 0 with zero gradients (not NaN) if every pixel is ignored.

    Reference: He et al., Eq. 1-2; each sum there is taken as a mean over labeled pixels, as in the release.
    """
    total = functional.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum")
    return total / (labels != IGNORE_INDEX).sum().clamp(min=1)


def segmentation_loss(output: SegmentationOutput, labels: Tensor, *, auxiliary_weight: float) -> Tensor:
    """Return the main loss plus the weighted loss of the auxiliary head.

    Args:
        output: of a network in training mode.
        labels: (B, H, W) int64.
        auxiliary_weight: the release: 0.4; without an auxiliary head it is not used.
    """
    loss = cross_entropy(output.logits, labels)
    if output.auxiliary_logits is not None:
        loss = loss + auxiliary_weight * cross_entropy(output.auxiliary_logits, labels)
    return loss
