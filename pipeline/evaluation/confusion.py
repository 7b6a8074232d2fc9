"""Confusion matrices."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.machine.progress import Progress
from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.class_frequencies import sum_counts
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
    samples: Sequence[Sample], catalog: Catalog, predictions: Iterable[LabelArray], *, progress: Progress
) -> NDArray[np.int64]:
    """Return the confusion matrix over all samples.

    Args:
        samples: with label files.
        catalog: C classes.
        predictions: of each sample, (H, W) uint8.
        progress: shows the images.

    Returns:
        (C, C + 1) int64, as `confusion_matrix`.
    """
    size = catalog.num_classes
    each = (
        confusion_matrix(labels_of(sample, catalog), prediction, size)
        for sample, prediction in zip(samples, predictions, strict=True)
    )
    return sum_counts(progress(each, total=len(samples), unit="image"), (size, size + 1))
