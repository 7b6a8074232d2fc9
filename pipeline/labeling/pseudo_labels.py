"""The pseudo labels of one image, from its predictions, its confidences and a selection."""

import numpy as np
from numpy.typing import NDArray

from pipeline.labeling.sampling import REMEDY, draw_labels
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.selection import Selection

_PART = 65536
"""Pixels that are compared at a time."""


def count_drawable(counts: NDArray[np.integer], values: NDArray[np.floating], selection: Selection) -> NDArray[np.int64]:
    """Count the pixels of an image that stand in the random draw of each class (q_ij).

    Args:
        counts: (C, B), pixels of the image predicted as a class at each confidence; of K images, (K, C, B).
        values: (B,) ascending, the confidence of each column.
        selection: thresholds.

    Returns:
        (C,) int64; of K images, (K, C).
    """
    starts, stops = (_bins(values, thresholds) for thresholds in (selection.class_thresholds, selection.keep_thresholds))
    parts = (counts[..., label, start:stop] for label, (start, stop) in enumerate(zip(starts, stops, strict=True)))
    return np.stack([part.sum(axis=-1, dtype=np.int64) for part in parts], axis=-1)


def count_drawable_pixels(
    prediction: NDArray[np.uint8], confidence: NDArray[np.floating], selection: Selection
) -> NDArray[np.int64]:
    """Count what `count_drawable` counts, pixel by pixel, where counts are coarser than thresholds.

    Args:
        prediction: (H, W) uint8, train ids.
        confidence: (H, W) float16 or float32 in [0, 1], as stored.
        selection: thresholds.

    Returns:
        (C,) int64.
    """
    classes = prediction.ravel()
    qualifies, kept = _compare(classes, confidence, selection)
    drawable = qualifies if kept is None else qualifies & ~kept
    return np.bincount(classes[drawable], minlength=len(selection.class_names))


def label_image(
    prediction: NDArray[np.uint8],
    confidence: NDArray[np.floating],
    selection: Selection,
    drawable: NDArray[np.int64],
    quota: NDArray[np.int64],
    *,
    seed: int,
    round_key: str,
    image_id: str,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give the selected pixels their predicted class and all others `IGNORE_INDEX`.

    Args:
        prediction: (H, W) uint8, train ids.
        confidence: (H, W) float16 or float32 in [0, 1], as stored.
        selection: thresholds of the round.
        drawable: (C,) int64, pixels of this image that were counted to stand in the draw.
        quota: (C,) int64, pixels to draw in this image.
        seed: of the experiment.
        round_key: names the round.
        image_id: names the image.

    Returns:
        (H, W) uint8, the labels, and (C,) int64, the pixels given each class. Both depend on nothing but the arguments.

    Raises:
        ValueError: other pixels stand in the draw than were counted.
    """
    classes = prediction.ravel()
    qualifies, kept = _compare(classes, confidence, selection)
    labels = np.full(classes.shape, IGNORE_INDEX, np.uint8)
    given = quota
    if kept is not None:
        labels[kept] = classes[kept]
        given = quota + np.bincount(classes[kept], minlength=len(quota))
        qualifies &= ~kept
    positions = np.flatnonzero(qualifies)
    labels[positions] = draw_labels(classes[positions], drawable, quota, seed=seed, round_key=round_key, image_id=image_id)
    return labels.reshape(prediction.shape), given


def check_drawable(selection: Selection, drawable: NDArray[np.int64], *, where: str) -> None:
    """Hold the pixels of all images that stand in the draw of each class, (C,), against the selection.

    Raises:
        ValueError: the selection is that of another store than `where`.
    """
    if tuple(drawable.tolist()) != selection.drawable_counts:
        raise ValueError(
            f"{where} - expected {selection.drawable_counts} pixels by class to draw among - found {drawable.tolist()}"
            " - run the stage `solve_thresholds` again"
        )


def check_realized(selection: Selection, realized: NDArray[np.int64], *, where: str) -> None:
    """Hold the pixels written as each class, (C,), against the selection.

    Raises:
        ValueError: they differ: counts, predictions and confidences of the store `where` do not belong together.
    """
    if tuple(realized.tolist()) != selection.realized_counts:
        raise ValueError(f"{where} - expected {selection.realized_counts} pixels by class - labeled {realized.tolist()}{REMEDY}")


def _compare(
    classes: NDArray[np.uint8], confidence: NDArray[np.floating], selection: Selection
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Return (P,) bool: which pixels qualify, and which of them are kept for certain; None where no class keeps any."""
    # Non-negative floats order like their bit patterns, which numpy compares many times faster than float16.
    pattern = np.dtype(f"u{confidence.itemsize}")
    bits = confidence.ravel().view(pattern)

    def reaches(thresholds: tuple[float | None, ...]) -> NDArray[np.bool_]:
        # No confidence reaches the pattern of infinity: that class has no qualifying pixel.
        values = [np.inf if threshold is None else threshold for threshold in thresholds]
        lowest = np.array(values, confidence.dtype).view(pattern)
        compared = np.empty(classes.shape, bool)
        # Part by part, numpy's indices of 8 bytes per pixel stay in the processor's cache.
        for start in range(0, len(classes), _PART):
            part = slice(start, start + _PART)
            np.greater_equal(bits[part], np.take(lowest, classes[part]), out=compared[part])
        return compared

    keeps = any(threshold is not None for threshold in selection.keep_thresholds)
    return reaches(selection.class_thresholds), reaches(selection.keep_thresholds) if keeps else None


def _bins(values: NDArray[np.floating], thresholds: tuple[float | None, ...]) -> list[int]:
    return [len(values) if threshold is None else int(np.searchsorted(values, threshold)) for threshold in thresholds]
