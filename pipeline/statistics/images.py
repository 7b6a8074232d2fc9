"""Images as counts: labeled ones by class, unlabeled ones whose labels are known against their pseudo labels."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.confusion import confusion_matrix
from pipeline.machine.parallel import map_ordered
from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.class_frequencies import count_classes
from pipeline.samples.images import read_label_png, read_labels
from pipeline.samples.sample_lists import Sample
from pipeline.statistics.regions import RegionCounts, measure_regions, no_regions

Held = tuple[NDArray[np.int64], RegionCounts]
"""(C, C + 1) confusion of true and pseudo labels, and pixels by size of region."""


def count_labeled(samples: Sequence[Sample], catalog: Catalog, *, workers: int) -> Iterator[NDArray[np.int64]]:
    """Yield (C,) int64, the pixels of each class, image by image."""

    def count(sample: Sample) -> NDArray[np.int64]:
        assert sample.labels is not None
        return count_classes(read_labels(sample.labels, catalog, size=sample.size), catalog.num_classes)

    yield from map_ordered(count, samples, workers=workers)


def hold_against_truth(
    known: Sequence[Sample],
    pseudo_labels: Path,
    image_ids: Sequence[str],
    prediction: Callable[[int], NDArray[np.uint8]],
    catalog: Catalog,
    *,
    workers: int,
) -> Iterator[Held]:
    """Hold the pseudo labels and predictions of images against their true labels.

    Args:
        known: samples with label files.
        pseudo_labels: folder of the round's pseudo labels.
        image_ids: of the round's store.
        prediction: of an index into `image_ids`, (H, W) uint8.
        catalog: of the data set.
        workers: threads.

    Raises:
        ValueError: a file is missing or damaged.
    """
    places = {image_id: index for index, image_id in enumerate(image_ids)}

    def hold(sample: Sample) -> Held:
        assert sample.labels is not None
        labels = read_labels(sample.labels, catalog, size=sample.size)
        path = pseudo_labels / f"{sample.image_id}.png"
        pseudo = read_label_png(path, num_classes=catalog.num_classes, size=sample.size)
        predicted = prediction(places[sample.image_id])
        confusion = confusion_matrix(labels, pseudo, catalog.num_classes)
        return confusion, measure_regions(labels, predicted, pseudo, ignore_index=IGNORE_INDEX)

    yield from map_ordered(hold, known, workers=workers)


def sum_truth(images: Iterable[Held], num_classes: int) -> Held:
    """Add up images; zeros for none."""
    confusion, regions = np.zeros((num_classes, num_classes + 1), np.int64), no_regions()
    for one, sizes in images:
        confusion += one
        regions += sizes
    return confusion, regions
