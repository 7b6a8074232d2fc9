"""One training from its sets to its network, resumable: what `pretrain` and `train_student` have in common."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.curve import Row
from pipeline.machine.device_group import DeviceGroup
from pipeline.models.network import SegmentationNetwork
from pipeline.params import AugmentationParams, RuntimeParams, TrainingParams
from pipeline.training.batches import Batch, Crops, load_batches
from pipeline.training.loop import Course, train
from pipeline.training.training_set import TrainingSet


def run_training(
    network: SegmentationNetwork,
    sets: Sequence[TrainingSet],
    course: Course,
    *,
    training: TrainingParams,
    augmentation: AugmentationParams,
    scales: tuple[float, float],
    runtime: RuntimeParams,
    group: DeviceGroup,
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
        group: the processes that train together.
        folder: holds the resume point.
        curve: filled with the rows of the curve.
    """
    crops = Crops(
        sets,
        augmentation,
        scales=scales,
        seed=course.seed,
        round_key=course.round_key,
        cache_bytes=int(runtime.cache_gib * 2**30) // group.size,
    )

    def batches(first_step: int) -> Iterator[Batch]:
        return load_batches(
            crops,
            sets,
            first_step=first_step,
            steps=course.steps,
            workers=runtime.loader_workers,
            group=group,
        )

    yield from train(network, batches, course, training, folder=folder, group=group, curve=curve, compiled=runtime.compile)
