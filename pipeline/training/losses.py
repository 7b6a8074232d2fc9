"""Losses over pixels that have a label."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.models.network import SegmentationOutput
from pipeline.samples.catalog import IGNORE_INDEX


def count_labeled(labels: Tensor) -> Tensor:
    """Return the number of pixels that are not ignored, a scalar on the labels' device."""
    return (labels != IGNORE_INDEX).sum()


def focal_loss(logits: Tensor, labels: Tensor, count: Tensor | None = None, *, gamma: float) -> Tensor:
    """Return the mean of -(1 - p)^gamma log p over the pixels that are not ignored, p being the probability of the label.

    With gamma 0 it is the cross entropy, with which the paper trains. With a larger one, networks are less sure of easy pixels;
    it is a loss to train with, no calibrator.

    Args:
        logits: (B, C, H, W) float.
        labels: (B, H, W) int64, train ids and 255 = ignored.
        count: pixels that the mean is over; None = those of `labels`.
        gamma: 0 or more.

    Returns:
        Scalar; 0 with zero gradients (not NaN) if every pixel is ignored.

    Reference: He et al., Eq. 1-2; each sum there is taken as a mean over labeled pixels, as in the release. Lin et al., Focal
        Loss for Dense Object Detection, ICCV 2017, without its class weights; He et al., Table 5.
    """
    count = (count_labeled(labels) if count is None else count).clamp(min=1)
    if gamma == 0:
        return functional.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum") / count
    losses = functional.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="none")
    # Of an ignored pixel the loss is 0 and its factor as well. Rounding can push p above 1, whose root would be NaN.
    factors = (1.0 - torch.exp(-losses)).clamp(min=torch.finfo(losses.dtype).tiny) ** gamma
    return (factors * losses).sum() / count


@torch.no_grad()
def keep_hard(logits: Tensor, labels: Tensor, *, threshold: float, min_share: float) -> Tensor:
    """Return `labels` with all but the hard pixels of each crop ignored: online hard example mining.

    Hard are the pixels whose label has a probability below `threshold`, and in any case the `min_share` hardest of the labeled
    pixels of a crop, with all that tie with the last of them. A crop is judged by itself, so that no batch size, number of
    processes or of parts changes what is kept.

    Args:
        logits: (B, C, H, W) float.
        labels: (B, H, W) int64, train ids and 255 = ignored.
        threshold: in (0, 1].
        min_share: in (0, 1].

    Reference: Shrivastava et al., Training Region-based Object Detectors with Online Hard Example Mining, CVPR 2016;
        mmsegmentation's `OHEMPixelSampler` chooses likewise, in a batch instead of a crop.
    """
    losses = functional.cross_entropy(_at_least_float32(logits), labels, ignore_index=IGNORE_INDEX, reduction="none").flatten(1)
    labeled = (labels != IGNORE_INDEX).flatten(1)
    # Ignored pixels come last, behind pixels of loss 0.
    descending = losses.masked_fill(~labeled, -1.0).sort(dim=1, descending=True).values
    least = (labeled.sum(dim=1) * min_share).ceil().long().clamp(min=1) - 1
    hardest = descending.gather(1, least[:, None])
    kept = labeled & ((losses > -math.log(threshold)) | (losses >= hardest))
    return labels.masked_fill(~kept.view_as(labels), IGNORE_INDEX)


def segmentation_loss(
    output: SegmentationOutput, labels: Tensor, count: Tensor | None = None, *, auxiliary_weight: float, focal_gamma: float = 0.0
) -> Tensor:
    """Return the main loss plus the weighted loss of the auxiliary head.

    Args:
        output: of a network in training mode.
        labels: (B, H, W) int64.
        count: pixels that the means are over; None = those of `labels`.
        auxiliary_weight: the release: 0.4; without an auxiliary head it is not used.
        focal_gamma: see `focal_loss`.
    """
    loss = focal_loss(_at_least_float32(output.logits), labels, count, gamma=focal_gamma)
    if output.auxiliary_logits is not None:
        auxiliary_loss = focal_loss(_at_least_float32(output.auxiliary_logits), labels, count, gamma=focal_gamma)
        loss = loss + auxiliary_weight * auxiliary_loss
    return loss


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
