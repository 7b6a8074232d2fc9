"""The training loop: one for round 0 and for every student."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from pipeline.curve import Row
from pipeline.machine.device_group import DeviceGroup
from pipeline.models.network import SegmentationNetwork
from pipeline.params import TrainingParams
from pipeline.runtime import autocast, seed_torch
from pipeline.training.batches import Batch
from pipeline.training.data_parallel import spread
from pipeline.training.losses import count_labeled, segmentation_loss
from pipeline.training.resume import read_resume_point, write_resume_point
from pipeline.training.schedules import poly_factor


@dataclass(frozen=True)
class Course:
    """What one training is about.

    Attributes:
        steps: optimizer steps.
        seed: of the experiment.
        round_key: names the round; `"0"` is pretraining.
        rounds_before: see `poly_factor`.
    """

    steps: int
    seed: int
    round_key: str
    rounds_before: int = 0


def train(
    network: SegmentationNetwork,
    batches: Callable[[int], Iterator[Batch]],
    course: Course,
    params: TrainingParams,
    *,
    folder: Path,
    group: DeviceGroup,
    curve: list[Row],
    compiled: bool = False,
) -> Iterator[int]:
    """Train to the end, from the resume point in `folder` if there is one; yield the number of steps done.

    The parts of a batch go through the network one after another, so that batch-norm statistics of labeled and
    pseudo-labeled crops never mix (as in the release), and their losses add up with equal weight (Eq. 2).

    Args:
        network: changed in place; the last state is the result.
        batches: from a first step to the batches from there on.
        course: length, seed and place among the rounds.
        params: the `training` section.
        folder: holds the resume point.
        group: the processes that train together, and the device of this one; `batches` are its own part.
        curve: filled with one row per `log_every` steps, those of an interrupted run included.
        compiled: compile the network first.

    Yields:
        Steps done, beginning with where the training resumes (0 for a new one).

    Raises:
        ValueError: a loss is not finite.

    Reference: He et al., Eq. 1-2, Sec. 4.1.
    """
    network.to(group.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = build_optimizer(network, params)
    resume_point = folder / "resume.safetensors"
    first_step, rows = read_resume_point(resume_point, network=network, optimizer=optimizer)
    group.barrier()  # Nobody writes the next resume point while others read this one.
    curve[:] = rows
    trained: nn.Module = network if group.size == 1 else spread(network, group)
    if compiled:
        trained.compile()
    yield first_step
    window: list[Tensor] = []
    for step, batch in enumerate(batches(first_step), start=first_step):
        # Dropout is the one draw left to torch: seeding it by the step makes it a function of the step.
        seed_torch(course.seed, "dropout", course.round_key, step)
        factor = poly_factor(step, course.steps, power=params.poly_power, rounds_before=course.rounds_before)
        for parameters in optimizer.param_groups:
            parameters["lr"] = params.learning_rate * parameters["factor"] * factor
        window.append(train_step(trained, optimizer, batch, params, group))
        done = step + 1
        if done % params.log_every == 0 or done == course.steps:
            curve.append(_row(done, group.sum(torch.stack(window)), params.learning_rate * factor))
            window.clear()
        if group.is_first and (done % params.checkpoint_every == 0 or done == course.steps):
            write_resume_point(resume_point, network=network, optimizer=optimizer, step=done, rows=curve)
        yield done


def build_optimizer(network: SegmentationNetwork, params: TrainingParams) -> SGD:
    """Return SGD with a group for the backbone and one for the heads; `factor` multiplies the rate of each."""
    groups = [
        {"params": list(network.backbone_parameters()), "factor": 1.0},
        {"params": list(network.head_parameters()), "factor": params.head_factor},
    ]
    return SGD(groups, lr=params.learning_rate, momentum=params.momentum, weight_decay=params.weight_decay)


def train_step(network: nn.Module, optimizer: SGD, batch: Batch, params: TrainingParams, group: DeviceGroup) -> Tensor:
    """Update once; return this process's share of the loss of each part of the batch, (2,)."""
    optimizer.zero_grad(set_to_none=True)
    losses = torch.zeros(2, device=group.device)
    for part, (images, labels) in enumerate(batch):
        # A backward pass per part frees its graph before the next one: half the memory, the same sum of gradients. Processes
        # average their gradients in the last one.
        waits = isinstance(network, DistributedDataParallel) and part < len(batch) - 1
        with network.no_sync() if waits else nullcontext():  # type: ignore[operator]
            with autocast(group.device, params.precision):
                output = network(images.to(group.device, non_blocking=True, memory_format=torch.channels_last))
            targets = labels.to(group.device, non_blocking=True)
            loss = segmentation_loss(
                output,
                targets,
                group.sum(count_labeled(targets)),
                auxiliary_weight=params.auxiliary_weight,
                focal_gamma=params.focal_gamma,
            )
            # Each process has its pixels' part of the mean over all pixels; the engine averages gradients, which are to add up.
            (loss * group.size).backward()  # type: ignore[no-untyped-call]
        losses[part] = loss.detach()
    optimizer.step()
    return losses


def _row(done: int, losses: Tensor, learning_rate: float) -> Row:
    labeled, unlabeled = losses.double().mean(dim=0).tolist()
    if not math.isfinite(labeled + unlabeled):
        raise ValueError(
            f"training - step {done} - expected finite losses - found {labeled} labeled, {unlabeled} unlabeled"
            " - lower training.learning_rate or check the images"
        )
    return Row(done, labeled, unlabeled, learning_rate)
