"""The pixels that a calibrator is fitted on: a uniform sample of all labeled ones, bounded in memory."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROBABILITY_FLOOR = 2.0**-24
"""Smallest positive float16. What is stored as 0 counts as this much, so that its logarithm is finite."""
CHUNK = 65536
"""Pixels that are copied at a time, or binned in float64."""
BLOCK = 2048
"""Pixels that are scaled at a time: their arrays in float64 stay in a processor's cache."""

LabeledMap = tuple[NDArray[np.floating[Any]], NDArray[np.uint8]]
"""(C, H, W) probabilities and (H, W) labels, train ids."""


@dataclass(frozen=True)
class FittingPixels:
    """Labeled pixels.

    Attributes:
        probs: (P, C) float16 or float32, stored probabilities; rows sum to 1 up to rounding and floor.
        labels: (P,) integers in 0..C-1.
    """

    probs: NDArray[np.floating[Any]]
    labels: NDArray[np.integer[Any]]

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return int(self.probs.shape[1])


def bin_of(values: NDArray[np.floating], bins: int) -> NDArray[np.int64]:
    """Return the bin of each value, 0..bins - 1, of equal width on [0, 1]; closed below, the last one on both sides."""
    return np.clip((values.astype(np.float64) * bins).astype(np.int64), 0, bins - 1)


def log_probs(probs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return natural logarithms in float64, those of values below `PROBABILITY_FLOOR` as if they were it.

    Where a store holds one view of each image, or averaged logits (`softmax_store.average`), they differ from logits by a
    constant of each pixel. Temperature scaling does not see it; vector and matrix scaling do, so fitted on these they are not
    what they are on logits (Guo et al. 2017, section 4.2). Logarithms of averaged probabilities are logits of no network.
    """
    if probs.dtype == np.float16:
        # Four times as fast as to convert float16 and take the logarithm.
        known: NDArray[np.float64] = _log_of_float16()[np.ascontiguousarray(probs.view(np.uint16))]
        return known
    logarithms: NDArray[np.float64] = np.maximum(probs, PROBABILITY_FLOOR, dtype=np.float64)
    np.log(logarithms, out=logarithms)
    return logarithms


@cache
def _log_of_float16() -> NDArray[np.float64]:
    """Return the (65536,) logarithms of all float16 values by their bits, NaN for what is none."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    with np.errstate(invalid="ignore"):
        logarithms: NDArray[np.float64] = np.log(np.maximum(every.astype(np.float64), PROBABILITY_FLOOR))
    return logarithms


def sample_pixels(maps: Iterable[LabeledMap], *, ignore_index: int, most: int, rng: np.random.Generator) -> FittingPixels:
    """Draw a uniform sample of the pixels with a class from a stream of images.

    Every pixel gets a random number and the `most` smallest are kept, so memory holds the sample, a part of it more, and one
    image, and the draw is uniform whatever the number of images.

    Args:
        maps: per image (C, H, W) probabilities and (H, W) labels.
        ignore_index: label of pixels without a class.
        most: pixels to keep; all, where there are fewer.
        rng: draws one number per pixel with a class, in the order of the stream.

    Returns:
        In the order of the stream, probabilities in the precision of the maps.

    Raises:
        ValueError: no pixel has a class.
    """
    kept: _Kept | None = None
    for probs, labels in maps:
        kept = kept or _Kept(len(probs), probs.dtype, most)
        places = np.flatnonzero(labels != ignore_index)
        keys = rng.random(len(places)).astype(np.float32)
        flat = probs.reshape(len(probs), -1)
        for start in range(0, len(places), CHUNK):
            piece = slice(start, start + CHUNK)
            chosen = keys[piece] < kept.limit
            own = places[piece][chosen]
            kept.add(keys[piece][chosen], flat[:, own].T, labels.ravel()[own])
        del probs, labels, flat, places, keys  # the next image is made before the loop would let go of them
    if kept is None or not len(kept.keys):
        raise ValueError("calibration - expected labeled pixels to fit on - found none - give it images with label files")
    kept.drop_largest()
    return FittingPixels(kept.probs, kept.labels)


class _Kept:
    """The pixels with the smallest keys so far, in the order of the stream.

    Its arrays grow and shrink in place: nothing else has them before the sample is complete, and a copy of all would double the
    memory.

    Attributes:
        keys: (P,) float32, in [0, 1).
        probs: (P, C) probabilities.
        labels: (P,) uint8.
        limit: keys from here on are too large.
    """

    def __init__(self, num_classes: int, dtype: np.dtype[Any], most: int) -> None:
        self.keys = np.empty(0, np.float32)
        self.probs = np.empty((0, num_classes), dtype)
        self.labels = np.empty(0, np.uint8)
        self.limit = np.inf
        self._most = most

    def add(self, keys: NDArray[np.float32], probs: NDArray[np.floating[Any]], labels: NDArray[np.uint8]) -> None:
        """Append (P,) keys, (P, C) probabilities and (P,) labels."""
        before = len(self.keys)
        self._resize(before + len(keys))
        self.keys[before:], self.probs[before:], self.labels[before:] = keys, probs, labels
        if len(self.keys) > self._most + max(self._most // 32, CHUNK):
            self.drop_largest()

    def drop_largest(self) -> None:
        """Keep the `most` smallest keys, of equal ones the first."""
        if len(self.keys) <= self._most:
            return
        # By the bits, which order as the keys do, all below 2**30: np.partition would copy the keys.
        limit = bisect_left(range(2**30), self._most, key=self._count_up_to)
        self.limit = float(np.uint32(limit).view(np.float32))
        ties, end = self._most - self._count_up_to(limit - 1), 0
        for start, bits in self._chunks():
            tied = np.flatnonzero(bits == limit)
            stays = bits <= limit
            stays[tied[ties:]] = False
            ties = max(ties - len(tied), 0)
            places = start + np.flatnonzero(stays)
            for values in (self.keys, self.probs, self.labels):
                values[end : end + len(places)] = values[places]
            end += len(places)
        self._resize(end)

    def _count_up_to(self, bits: int) -> int:
        return sum(int(np.count_nonzero(chunk <= bits)) for _, chunk in self._chunks())

    def _chunks(self) -> Iterator[tuple[int, NDArray[np.uint32]]]:
        """Yield where each piece of the keys begins, and its bits: a comparison of all at once would take a byte for each."""
        for start in range(0, len(self.keys), CHUNK):
            yield start, self.keys[start : start + CHUNK].view(np.uint32)

    def _resize(self, count: int) -> None:
        for values in (self.keys, self.probs, self.labels):
            values.resize((count, *values.shape[1:]), refcheck=False)


def calibrate_chunks(
    probs: NDArray[np.floating[Any]], calibrate: Callable[[NDArray[np.floating[Any]]], NDArray[np.float64]]
) -> NDArray[np.float32]:
    """Calibrate a map piece by piece, so that copies in float64 stay small.

    Args:
        probs: (C, ...) probabilities.
        calibrate: of (P, C) probabilities, (P, C) calibrated ones.

    Returns:
        (C, ...) float32.
    """
    flat = probs.reshape(len(probs), -1)
    result = np.empty(flat.shape, np.float32)
    for start in range(0, flat.shape[1], CHUNK):
        result[:, start : start + CHUNK] = calibrate(flat[:, start : start + CHUNK].T).T
    return result.reshape(probs.shape)


def blocks(pixels: FittingPixels) -> Iterator[tuple[NDArray[np.float64], NDArray[np.integer[Any]]]]:
    """Yield (C, P') log-probabilities in float64 and (P',) labels, `BLOCK` pixels at a time."""
    for start in range(0, len(pixels.labels), BLOCK):
        yield log_probs(pixels.probs[start : start + BLOCK].T), pixels.labels[start : start + BLOCK]
