"""The training loop: one for round 0 and for every student."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import SGD

from pipeline.models.network import SegmentationNetwork
from pipeline.params import TrainingParams
from pipeline.runtime import seed_torch
from pipeline.training.batches import Batch
from pipeline.training.curve import Row
from pipeline.training.losses import segmentation_loss
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
    device: torch.device,
    curve: list[Row],
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
        device: where to compute.
        curve: filled with one row per `log_every` steps, those of an interrupted run included.

    Yields:
        Steps done, beginning with where the training resumes (0 for a new one).

    Raises:
        ValueError: a loss is not finite.

    Reference: He et al., Eq. 1-2, Sec. 4.1.
    """
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = _build_optimizer(network, params)
    resume_point = folder / "resume.safetensors"
    first_step, rows = read_resume_point(resume_point, network=network, optimizer=optimizer)
    curve[:] = rows
    yield first_step
    window: list[Tensor] = []
    for step, batch in enumerate(batches(first_step), start=first_step):
        # Dropout is the one draw left to torch: seeding it by the step makes it a function of the step.
        seed_torch(course.seed, "dropout", course.round_key, step)
        factor = poly_factor(step, course.steps, power=params.poly_power, rounds_before=course.rounds_before)
        for group in optimizer.param_groups:
            group["lr"] = params.learning_rate * group["factor"] * factor
        window.append(_step(network, optimizer, batch, params, device))
        done = step + 1
        if done % params.log_every == 0 or done == course.steps:
            curve.append(_row(done, window, params.learning_rate * factor))
            window.clear()
        if done % params.checkpoint_every == 0 or done == course.steps:
            write_resume_point(resume_point, network=network, optimizer=optimizer, step=done, rows=curve)
        yield done


def _build_optimizer(network: SegmentationNetwork, params: TrainingParams) -> SGD:
    groups = [
        {"params": list(network.backbone_parameters()), "factor": 1.0},
        {"params": list(network.head_parameters()), "factor": params.head_factor},
    ]
    return SGD(groups, lr=params.learning_rate, momentum=params.momentum, weight_decay=params.weight_decay)


def _step(network: SegmentationNetwork, optimizer: SGD, batch: Batch, params: TrainingParams, device: torch.device) -> Tensor:
    """Update once; return the loss of each part of the batch, (2,)."""
    optimizer.zero_grad(set_to_none=True)
    losses = torch.zeros(2, device=device)
    for part, (images, labels) in enumerate(batch):
        output = network(images.to(device, non_blocking=True, memory_format=torch.channels_last))
        loss = segmentation_loss(
            output,
            labels.to(device, non_blocking=True),
            auxiliary_weight=params.auxiliary_weight,
            focal_gamma=params.focal_gamma,
        )
        # A backward pass per part frees its graph before the next one: half the memory, the same sum of gradients.
        loss.backward()  # type: ignore[no-untyped-call]
        losses[part] = loss.detach()
    optimizer.step()
    return losses


def _row(done: int, window: list[Tensor], learning_rate: float) -> Row:
    labeled, unlabeled = torch.stack(window).double().mean(dim=0).tolist()
    if not math.isfinite(labeled + unlabeled):
        raise ValueError(
            f"training - step {done} - expected finite losses - found {labeled} labeled, {unlabeled} unlabeled"
            " - lower training.learning_rate or check the images"
        )
    return Row(done, labeled, unlabeled, learning_rate)
