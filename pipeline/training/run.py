"""One training from its sets to its network, resumable: what `pretrain` and `train_student` have in common."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from pipeline.models.network import SegmentationNetwork
from pipeline.params import AugmentationParams, RuntimeParams, TrainingParams
from pipeline.runtime import prepare_device
from pipeline.training.batches import Batch, Crops, TrainingSet, load_batches
from pipeline.training.curve import Row
from pipeline.training.loop import Course, train


def run_training(
    network: SegmentationNetwork,
    sets: Sequence[TrainingSet],
    course: Course,
    *,
    training: TrainingParams,
    augmentation: AugmentationParams,
    scales: tuple[float, float],
    runtime: RuntimeParams,
    folder: Path,
    curve: list[Row],
) -> Iterator[int]:
    """Train `network` in place on random crops of `sets`; yield the steps done, as `train` does.

    Args:
        network: the result is its last state.
        sets: labeled, and for a student with pseudo labels also unlabeled.
        course: length, seed and place among the rounds.
        training: section.
        augmentation: section; its scales are not read.
        scales: range of the random scale in this round.
        runtime: section.
        folder: holds the resume point.
        curve: filled with the rows of the curve.
    """
    device: torch.device = prepare_device(runtime)
    crops = Crops(sets, augmentation, scales=scales, seed=course.seed, round_key=course.round_key)

    def batches(first_step: int) -> Iterator[Batch]:
        return load_batches(
            crops,
            sets,
            first_step=first_step,
            steps=course.steps,
            workers=runtime.loader_workers,
            pin=device.type == "cuda",
        )

    yield from train(network, batches, course, training, folder=folder, device=device, curve=curve)
