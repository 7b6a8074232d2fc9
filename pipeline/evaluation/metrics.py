"""`metrics.json`: the field's measures of one network on the validation images, and the counts that they follow from."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.segmentation import iou, mean_iou
from pipeline.schema import Artifact


class Metrics(Artifact):
    """One network; shares in [0, 1], None where a class neither occurs nor is predicted."""

    described_as = "the measures of a round"
    written_by = "evaluate"

    mean_iou: float | None
    tail_mean_iou: float | None
    """Over the tail classes; None where none of them occurs."""
    pixel_accuracy: float | None
    iou: dict[str, float | None]
    """By class name, in the order of train ids."""
    tail_classes: tuple[str, ...]
    protocol: str
    """On which images and how the network was tested."""
    confusion: tuple[tuple[int, ...], ...]
    """(C, C + 1) pixels, rows true, columns predicted; the last column holds pixels without a prediction."""


def segmentation_metrics(
    confusion: NDArray[np.int64], class_names: Sequence[str], tail: NDArray[np.bool_], *, protocol: str
) -> Metrics:
    """Take the measures of a confusion matrix, (C, C + 1) int64; `tail`, (C,) bool, marks the tail classes."""
    class_iou = iou(confusion)
    valid = int(confusion.sum())
    return Metrics(
        mean_iou=mean_iou(class_iou),
        tail_mean_iou=mean_iou(class_iou, tail),
        pixel_accuracy=int(np.trace(confusion)) / valid if valid else None,
        iou={name: None if np.isnan(value) else float(value) for name, value in zip(class_names, class_iou, strict=True)},
        tail_classes=tuple(name for name, rare in zip(class_names, tail, strict=True) if rare),
        protocol=protocol,
        confusion=tuple(map(tuple, confusion.tolist())),
    )
