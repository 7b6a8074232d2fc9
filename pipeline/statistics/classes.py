"""Classes by how often and how large they appear (Sec. 4.4 of the paper, Fig. 5a)."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.machine.parallel import map_ordered
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import count_classes
from pipeline.samples.images import labels_of
from pipeline.samples.sample_lists import Sample
from pipeline.samples.working_size import resize_labels, working_size

FREQUENT = 0.5
"""A class is frequent if it appears in more than this share of the labeled images."""
LARGE = 0.1
"""A class is large if, where it appears, it covers more than this share of a crop's area on average."""


def count_label_files(
    samples: Sequence[Sample], catalog: Catalog, *, long_side: int | None, workers: int
) -> Iterator[NDArray[np.int64]]:
    """Yield (C,) int64, the pixels of each class, image by image, of labels at the size at which training reads them."""

    def count(sample: Sample) -> NDArray[np.int64]:
        labels = resize_labels(labels_of(sample, catalog), working_size(sample.size, long_side))
        return count_classes(labels, catalog.num_classes)

    yield from map_ordered(count, samples, workers=workers)


def seen_area(*, crop: tuple[int, int], scales: tuple[float, float]) -> float:
    """Return the pixels of an unscaled image that a training crop, of height and width in pixels, holds on average over scales.

    Crops are cut out of scaled images: an object covers s^2 times its own pixels, on average (a^2 + ab + b^2) / 3 times for
    scales s that are uniform in [a, b]. So a class is as large as the network sees it, at whatever resolution it is trained.
    """
    low, high = scales
    return 3 * crop[0] * crop[1] / (low * low + low * high + high * high)


def appearance(counts: Iterable[NDArray[np.int64]], num_classes: int, *, crop_area: float) -> tuple[list[float], list[float]]:
    """Measure how often and how large each class appears.

    Args:
        counts: per labeled image, (C,) pixels of each class.
        num_classes: C.
        crop_area: pixels of an unscaled image that a training crop holds; the crop is the paper's measure of size.

    Returns:
        (C,) shares of the images in which a class appears, in [0, 1], and (C,) its mean pixels there over the area of a crop; 0
        for a class that never appears.
    """
    images, appearances, pixels = 0, np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64)
    for image in counts:
        images += 1
        appearances += image > 0
        pixels += image
    sizes = pixels / np.maximum(appearances, 1) / crop_area
    return (appearances / max(images, 1)).tolist(), sizes.tolist()


def group_of(frequency: float, size: float) -> str:
    """Return which of the paper's four groups a class belongs to, such as `frequent, small`."""
    return f"{'frequent' if frequency > FREQUENT else 'rare'}, {'large' if size > LARGE else 'small'}"
