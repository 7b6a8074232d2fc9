"""Predict images one after another and write what is predicted, of large ones a part at a time."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.machine.progress import Item, Progress
from pipeline.predictions.jobs import Job, in_255ths
from pipeline.predictions.label_formats import Colors
from pipeline.rasters.blocks import Block, Canvas, ImageError, Read
from pipeline.rasters.source import LARGE, Source, expect_memory, open_source, read_whole
from pipeline.samples.catalog import IGNORE_INDEX

_MOST_ERRORS = 10
"""Damaged images that are named; of more, their number is said."""


class Predicts(Protocol):
    """A network and its protocol, as this room needs them; `pipeline/rasters/banded.py` has the one that there is."""

    @property
    def by_windows(self) -> bool:
        """Whether `blocks` may be called."""

    @property
    def bytes_per_pixel(self) -> int:
        """What `labels_and_confidence` needs at the least."""

    def labels_and_confidence(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """From (H, W, 3) uint8 RGB to train ids, (H, W) uint8 in 0..C-1, and their probability, (H, W) float32."""

    def count_windows(self, size: tuple[int, int]) -> int:
        """Return how many steps `blocks` takes."""

    def blocks(self, size: tuple[int, int], read: Read) -> Iterator[list[Block]]:
        """Yield parts of the same."""


def run_jobs(jobs: Sequence[Job], predictor: Predicts, colors: Colors, *, progress: Progress) -> None:
    """Read every image, predict it and write its files.

    `progress` shows the images, and then, of each large one that goes by windows, the windows.

    Raises:
        ValueError: images are damaged; those of all others are written.
    """
    damaged: list[ImageError] = []
    small: list[Job] = []
    large: list[Job] = []
    for job in jobs:
        (large if predictor.by_windows and job.count_pixels() > LARGE else small).append(job)
    for job in progress(small, total=len(small), unit="image"):
        with _noted(damaged):
            if job.georeferenced:
                _run_in_parts(job, predictor, colors, progress=_unshown)
            else:
                image = read_whole(job.image)
                _expect_memory(job, predictor, (image.shape[0], image.shape[1]))
                job.write(image, *predictor.labels_and_confidence(image), colors)
    for job in large:
        with _noted(damaged):
            _run_in_parts(job, predictor, colors, progress=progress)
    if damaged:
        others = [str(error).partition(" - ")[0] for error in damaged[1:_MOST_ERRORS]]
        others += [f"{len(damaged) - _MOST_ERRORS} more"] if len(damaged) > _MOST_ERRORS else []
        also = f" (likewise {', '.join(others)})" if others else ""
        raise ValueError(f"{damaged[0]}{also}; {len(jobs) - len(damaged)} of {len(jobs)} images were predicted")


def _run_in_parts(job: Job, predictor: Predicts, colors: Colors, *, progress: Progress) -> None:
    """Predict an image and write its files a part at a time; what is finished waits on disk, beside its label file."""
    with open_source(job.image, georeferenced=job.georeferenced) as source, ExitStack() as stack:
        steps, total = _steps(job, predictor, source)
        labels = stack.enter_context(Canvas(job.labels.parent, source.size))
        confidence = stack.enter_context(Canvas(job.labels.parent, source.size)) if job.confidence else None
        for blocks in progress(steps, total=total, unit="window"):
            for block in blocks:
                empty = source.empty(block.rows, block.columns) if job.georeferenced else None
                hidden = False if empty is None else empty
                labels.write(block.rows, block.columns, np.where(hidden, np.uint8(IGNORE_INDEX), block.labels))
                if confidence is not None:
                    confidence.write(block.rows, block.columns, np.where(hidden, np.uint8(0), in_255ths(block.confidence)))
        job.write_parts(source, labels, confidence, colors)


def _steps(job: Job, predictor: Predicts, source: Source) -> tuple[Iterable[list[Block]], int]:
    """Return the blocks of an image as they are finished, and how many steps that takes."""
    if predictor.by_windows:
        try:
            total = predictor.count_windows(source.size)
        except ImageError as error:
            raise ImageError(f"{job.image} {error}") from error
        return predictor.blocks(source.size, source.read), total
    _expect_memory(job, predictor, source.size)
    rows, columns = slice(0, source.size[0]), slice(0, source.size[1])
    return [[Block(rows, columns, *predictor.labels_and_confidence(source.read(rows, columns)))]], 1


def _expect_memory(job: Job, predictor: Predicts, size: tuple[int, int]) -> None:
    remedy = "predict it in windows, by --window 512 for instance"
    expect_memory(job.image, size, predictor.bytes_per_pixel, remedy=remedy)


@contextmanager
def _noted(damaged: list[ImageError]) -> Iterator[None]:
    """Keep the error of an image, so that the next one follows."""
    try:
        yield
    except ImageError as error:
        damaged.append(error)


def _unshown(items: Iterable[Item], /, *, total: int, unit: str) -> Iterable[Item]:
    """Be a `Progress` that shows nothing."""
    del total, unit
    return items
