"""The validation curve: what the network of a training scored on its way. It picks nothing; nobody but a person reads it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.evaluation.confusion import LabelArray, measure_samples
from pipeline.evaluation.segmentation import iou, mean_iou
from pipeline.machine.progress import Progress
from pipeline.samples.catalog import Catalog
from pipeline.samples.sample_lists import Sample
from pipeline.schema import Artifact, Section, Share

Item = TypeVar("Item")


class ValPoint(Section):
    """The measures after some steps, as in `metrics.json`."""

    step: Annotated[int, Field(ge=0)]
    mean_iou: Share | None
    tail_mean_iou: Share | None


class ValCurve(Artifact):
    """`val_curve.json`."""

    described_as: ClassVar[str] = "a validation curve"
    written_by: ClassVar[str] = "evaluate"

    images: Annotated[int, Field(ge=0)]
    """Validation images of each point."""
    points: tuple[ValPoint, ...]
    """By step, the last one of the round's own network; none where no snapshots were taken."""


def measure_curve(
    checkpoints: Mapping[int, Path],
    samples: Sequence[Sample],
    predict: Callable[[Path, Sequence[Sample]], Iterable[LabelArray]],
    catalog: Catalog,
    tail: NDArray[np.bool_],
    *,
    known: Mapping[Path, NDArray[np.int64]],
    progress: Progress,
) -> ValCurve:
    """Measure networks by the step at which they were taken.

    Args:
        checkpoints: by step, ascending.
        samples: to measure on, with label files.
        predict: from a checkpoint and samples to predictions, (H, W) uint8.
        catalog: classes of the labels.
        tail: (C,) marks the tail classes.
        known: (C, C + 1) confusion matrices over the same samples, by checkpoint; these are not measured again.
        progress: shows the images.
    """
    points = []
    for step, checkpoint in checkpoints.items():
        confusion = known.get(checkpoint)
        if confusion is None:
            confusion = measure_samples(samples, catalog, predict(checkpoint, samples), progress=progress)
        class_iou = iou(confusion)
        points.append(ValPoint(step=step, mean_iou=mean_iou(class_iou), tail_mean_iou=mean_iou(class_iou, tail)))
    return ValCurve(images=len(samples), points=tuple(points))


def spread(items: Sequence[Item], most: int | None) -> Sequence[Item]:
    """Return at most `most` items, evenly spread over all; None = all."""
    if most is None or most >= len(items):
        return items
    return [items[place * len(items) // most] for place in range(most)]
