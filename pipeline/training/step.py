"""One step of training: the same for round 0 and for every student."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from pipeline.machine.device_group import DeviceGroup
from pipeline.params import TrainingParams
from pipeline.runtime import autocast
from pipeline.training.batches import Batch
from pipeline.training.losses import count_labeled, keep_hard, segmentation_loss


def train_step(network: nn.Module, optimizer: Optimizer, batch: Batch, params: TrainingParams, group: DeviceGroup) -> Tensor:
    """Update once; return this process's share of the loss of each part of the batch, (2,).

    The parts go through the network one after another, so that batch-norm statistics of labeled and pseudo-labeled crops never
    mix (as in the release), and their losses add up with equal weight. `training.accumulate` divides each part further, without
    a change of the sum; with hard examples, whose number only the network tells, each piece is the mean over its own and counts
    by its labeled pixels.

    Reference: He et al., Eq. 1-2, Sec. 4.1.
    """
    optimizer.zero_grad(set_to_none=True)
    losses = torch.zeros(2, device=group.device)
    pieces = [
        (part, group.sum(count_labeled(labels.to(group.device))), piece)
        for part, (images, labels) in enumerate(batch)
        for piece in zip(images.chunk(params.accumulate), labels.chunk(params.accumulate), strict=True)
    ]
    for place, (part, labeled, (images, labels)) in enumerate(pieces):
        # A backward pass per piece frees its graph before the next one: half the memory, the same sum of gradients. Processes
        # average their gradients in the last one.
        accumulates = isinstance(network, DistributedDataParallel) and place < len(pieces) - 1
        with network.no_sync() if accumulates else nullcontext():  # type: ignore[operator]
            with autocast(group.device, params.precision):
                output = network(images.to(group.device, non_blocking=True, memory_format=torch.channels_last))
            targets = labels.to(group.device, non_blocking=True)
            share: Tensor | float = 1.0
            count = labeled
            if params.ohem_threshold:
                share = group.sum(count_labeled(targets)) / labeled.clamp(min=1)
                targets = keep_hard(output.logits, targets, threshold=params.ohem_threshold, min_share=params.ohem_min_share)
                count = group.sum(count_labeled(targets))
            loss = share * segmentation_loss(
                output, targets, count, auxiliary_weight=params.auxiliary_weight, focal_gamma=params.focal_gamma
            )
            # Each process has its pixels' part of the mean over all pixels; the engine averages gradients, which are to add up.
            (loss * group.size).backward()  # type: ignore[no-untyped-call]
        losses[part] += loss.detach()
    optimizer.step()
    return losses
