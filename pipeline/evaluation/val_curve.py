"""The validation curve: what the network of a training scored on its way. It picks nothing; nobody but a person reads it."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.evaluation.segmentation import iou, mean_iou
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


def build_point(step: int, confusion: NDArray[np.int64], tail: NDArray[np.bool_]) -> ValPoint:
    """Take the measures of a confusion matrix, (C, C + 1) int64; `tail`, (C,) bool, marks the tail classes."""
    class_iou = iou(confusion)
    return ValPoint(step=step, mean_iou=mean_iou(class_iou), tail_mean_iou=mean_iou(class_iou, tail))


def spread(items: Sequence[Item], most: int | None) -> Sequence[Item]:
    """Return at most `most` items, evenly spread over all; None = all."""
    if most is None or most >= len(items):
        return items
    return [items[place * len(items) // most] for place in range(most)]
