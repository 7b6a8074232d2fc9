"""Confusion matrices."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.images import labels_of
from pipeline.samples.sample_lists import Sample

LabelArray = NDArray[np.uint8]


def confusion_matrix(labels: LabelArray, prediction: LabelArray, num_classes: int) -> NDArray[np.int64]:
    """Count pixels by true and predicted class.

    Args:
        labels: (H, W) uint8, train ids and `IGNORE_INDEX`, whose pixels do not count.
        prediction: (H, W) uint8, likewise; a valid pixel without a prediction counts for its true class alone.
        num_classes: C.

    Returns:
        (C, C + 1) int64, rows true, columns predicted; the last column holds valid pixels without a prediction.
    """
    valid = labels != IGNORE_INDEX
    columns = np.minimum(prediction[valid], num_classes).astype(np.int64)
    joint = labels[valid].astype(np.int64) * (num_classes + 1) + columns
    return np.bincount(joint, minlength=num_classes * (num_classes + 1)).reshape(num_classes, num_classes + 1)


def measure_samples(
    samples: Iterable[Sample], catalog: Catalog, predictions: Iterable[LabelArray]
) -> Iterator[NDArray[np.int64]]:
    """Yield the (C, C + 1) confusion matrix of every sample, which has a label file, and its prediction, (H, W) uint8."""
    for sample, prediction in zip(samples, predictions, strict=True):
        yield confusion_matrix(labels_of(sample, catalog), prediction, catalog.num_classes)
