"""How right teacher and pseudo labels are, by the size of the region that a pixel lies in (the paper's Fig. 5b)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.samples.catalog import IGNORE_INDEX

EDGES = tuple(10.0 ** (place / 2) for place in range(-10, 1))
"""Sizes as shares of the image's area, two to a decade; the first bin takes all that is smaller, the last holds 1."""


@dataclass(frozen=True)
class RegionCounts:
    """Pixels by size of their region, each (B,) int64; those of several images add up.

    Attributes:
        pixels: with a true class.
        predicted_right: whose prediction is it.
        pseudo_labeled: that have a pseudo label.
        pseudo_labeled_right: whose pseudo label is it.
    """

    pixels: NDArray[np.int64]
    predicted_right: NDArray[np.int64]
    pseudo_labeled: NDArray[np.int64]
    pseudo_labeled_right: NDArray[np.int64]

    def __add__(self, other: "RegionCounts") -> "RegionCounts":
        """Add the pixels of another image."""
        return RegionCounts(*(ours + theirs for ours, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))


def no_regions() -> RegionCounts:
    """Return zeros."""
    zeros = np.zeros(len(EDGES) - 1, np.int64)
    return RegionCounts(zeros, zeros, zeros, zeros)


def region_sizes(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return (H, W) int64: the pixels of the region around each pixel.

    A region is a largest set of pixels of one true class that hang together by their sides.

    Args:
        labels: (H, W) uint8, train ids and `IGNORE_INDEX`, whose pixels have the size 0.
    """
    from scipy import ndimage  # where no true labels are known, no region is measured

    sizes = np.zeros(labels.shape, np.int64)
    # find_objects takes label 0 for background.
    for label, box in enumerate(ndimage.find_objects(labels.astype(np.int32) + 1)):
        if box is not None and label != IGNORE_INDEX:
            inside = labels[box] == label
            regions, _ = ndimage.label(inside)
            sizes[box][inside] = np.bincount(regions.ravel())[regions[inside]]
    return sizes


def measure_regions(labels: NDArray[np.uint8], prediction: NDArray[np.uint8], pseudo_labels: NDArray[np.uint8]) -> RegionCounts:
    """Count one image.

    Args:
        labels: (H, W) uint8, true train ids and `IGNORE_INDEX`, whose pixels count nowhere.
        prediction: (H, W) uint8, the teacher's.
        pseudo_labels: (H, W) uint8, train ids and `IGNORE_INDEX`.
    """
    valid = labels != IGNORE_INDEX
    shares = region_sizes(labels)[valid] / labels.size
    bins = np.clip(np.searchsorted(EDGES, shares, side="right") - 1, 0, len(EDGES) - 2)
    labeled = pseudo_labels[valid] != IGNORE_INDEX

    def count(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(bins[mask], minlength=len(EDGES) - 1)

    return RegionCounts(
        pixels=count(np.ones(len(bins), bool)),
        predicted_right=count((prediction == labels)[valid]),
        pseudo_labeled=count(labeled),
        pseudo_labeled_right=count((pseudo_labels == labels)[valid] & labeled),
    )
