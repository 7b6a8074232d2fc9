"""Confusion matrices."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.samples.catalog import Catalog
from pipeline.samples.images import read_labels
from pipeline.samples.sample_lists import Sample

LabelArray = NDArray[np.uint8]


def confusion_matrix(labels: LabelArray, prediction: LabelArray, num_classes: int) -> NDArray[np.int64]:
    """Count pixels by true and predicted class.

    Args:
        labels: (H, W) uint8, train ids; values from `num_classes` on are ignored pixels and do not count.
        prediction: (H, W) uint8, train ids; a valid pixel without a prediction (255) counts for its true class alone.
        num_classes: C.

    Returns:
        (C, C + 1) int64, rows true, columns predicted; the last column holds valid pixels without a prediction.
    """
    valid = labels < num_classes
    columns = np.minimum(prediction[valid], num_classes).astype(np.int64)
    joint = labels[valid].astype(np.int64) * (num_classes + 1) + columns
    return np.bincount(joint, minlength=num_classes * (num_classes + 1)).reshape(num_classes, num_classes + 1)


def measure_samples(samples: Iterable[Sample], catalog: Catalog, labels: Iterable[LabelArray]) -> Iterator[NDArray[np.int64]]:
    """Yield the confusion matrix of every sample.

    Args:
        samples: with label files.
        catalog: of the data set.
        labels: of each sample, (H, W) uint8 labels to be judged: a network's prediction, or a pseudo label.
    """
    for sample, judged in zip(samples, labels, strict=True):
        assert sample.labels is not None, "a list to measure on has label files"
        truth = read_labels(sample.labels, catalog, size=sample.size)
        yield confusion_matrix(truth, judged, catalog.num_classes)


def sum_confusions(confusions: Iterable[NDArray[np.int64]], num_classes: int) -> NDArray[np.int64]:
    """Add up (C, C + 1) confusion matrices; zeros for none."""
    return sum(confusions, start=np.zeros((num_classes, num_classes + 1), np.int64))
