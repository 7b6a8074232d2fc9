"""Pseudo labels counted image by image, and held against the true labels where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.confusion import confusion_matrix
from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import count_classes
from pipeline.samples.images import labels_of, read_label_png
from pipeline.samples.sample_lists import Sample
from pipeline.softmax_store.reader import ConfidenceStore
from pipeline.statistics.regions import RegionCounts, measure_regions, no_regions


@dataclass(frozen=True)
class PseudoLabelCounts:
    """Pixels of pseudo-labeled images; those of several images add up.

    Attributes:
        labeled: (C,) int64, pixels pseudo-labeled as each class.
        confusion: (C, C + 1) int64, of those with a true class: rows true, columns pseudo-labeled, the last one without a label.
        regions: pixels with a true class by size of their region.
    """

    labeled: NDArray[np.int64]
    confusion: NDArray[np.int64]
    regions: RegionCounts

    def __add__(self, other: "PseudoLabelCounts") -> "PseudoLabelCounts":
        """Add the pixels of another image."""
        return PseudoLabelCounts(self.labeled + other.labeled, self.confusion + other.confusion, self.regions + other.regions)


def count_pseudo_labels(
    folder: Path, store: ConfidenceStore, known: Sequence[Sample], catalog: Catalog, *, workers: int, progress: Progress
) -> PseudoLabelCounts:
    """Count the round's pseudo labels, in `folder`, of all unlabeled images; judge those of images whose labels are `known`.

    By size of region, the predictions of the teacher, in the round's store, are judged as well.

    Raises:
        ValueError: a file is missing or damaged.
    """
    num_classes = catalog.num_classes
    nothing = PseudoLabelCounts(np.zeros(num_classes, np.int64), np.zeros((num_classes, num_classes + 1), np.int64), no_regions())
    truth = {sample.image_id: sample for sample in known}

    def count(index: int) -> PseudoLabelCounts:
        image_id, size = store.image_ids[index], store.size(index)
        pseudo_labels = read_label_png(folder / f"{image_id}.png", num_classes=num_classes, size=size)
        counted = replace(nothing, labeled=count_classes(pseudo_labels, num_classes))
        if (sample := truth.get(image_id)) is None:
            return counted
        labels = labels_of(sample, catalog)
        confusion = confusion_matrix(labels, pseudo_labels, num_classes)
        return replace(counted, confusion=confusion, regions=measure_regions(labels, store.prediction(index), pseudo_labels))

    images = map_ordered(count, range(len(store.image_ids)), workers=workers)
    return sum(progress(images, total=len(store.image_ids), unit="image"), start=nothing)
