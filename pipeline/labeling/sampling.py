"""Exact random sampling, the same at any degree of parallelism.

How many pixels of a class each image gives is drawn once per class; which ones, once per image. Every draw has a
generator of its own, keyed by what it is for, so order, workers and chunks cannot change a byte.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.randomness import keyed_generator
from pipeline.samples.catalog import IGNORE_INDEX

REMEDY = " - counts and pixels of the store do not belong together - run the stages `infer` and `calibrate` again"

_NUMPY_LIMIT = 10**9
"""numpy's hypergeometric takes fewer than this many good and bad items."""


def draw_quotas(
    drawable: NDArray[np.int64] | Sequence[NDArray[np.int64]], draws: Sequence[int], *, seed: int, round_key: str
) -> NDArray[np.int64]:
    """Draw how many pixels of each class every image gives: uniform over all sets of exactly `draws[j]` pixels.

    Args:
        drawable: (N, C) int64, or N times (C,): pixels of image i and class j in the draw (q_ij).
        draws: (C,) pixels to draw; at most the sums of `drawable`.
        seed: of the experiment.
        round_key: names the round.

    Returns:
        (N, C) int64; columns add up to `draws`.
    """
    available = np.asarray(drawable)
    quotas = np.zeros_like(available)
    for label, wanted in enumerate(draws):
        rng = keyed_generator(seed, "quota", round_key, label)
        column = np.ascontiguousarray(available[:, label])
        left, missing = int(column.sum()), int(wanted)
        assert missing <= left, "a selection never draws more than qualifies"
        # Most images lack most classes; those that do draw nothing.
        images = np.flatnonzero(column)
        for image, good in zip(images.tolist(), column[images].tolist(), strict=True):
            if missing == 0:
                break
            left -= good
            quota = hypergeometric(rng, good, left, missing)
            quotas[image, label] = quota
            missing -= quota
    return quotas


def draw_labels(
    candidates: NDArray[np.uint8],
    drawable: NDArray[np.int64],
    quota: NDArray[np.int64],
    *,
    seed: int,
    round_key: str,
    image_id: str,
) -> NDArray[np.uint8]:
    """Label as many candidate pixels of each class as its quota says, all subsets alike.

    Every candidate is dealt a random byte, and of each class the smallest are chosen; a random order decides among the
    candidates of the one byte of a class where its quota ends. So nothing is sorted but some 1/256 of the candidates.

    Args:
        candidates: (Q,) uint8, train ids of an image's pixels in the draw.
        drawable: (C,) int64, how many of each class were counted to be there.
        quota: (C,) int64, at most `drawable`.
        seed: of the experiment.
        round_key: names the round.
        image_id: names the image.

    Returns:
        (Q,) uint8: the class of a chosen pixel, `IGNORE_INDEX` for any other.

    Raises:
        ValueError: other candidates are there than were counted.
    """
    rng = keyed_generator(seed, "pixels", round_key, image_id)
    dealt = (candidates.astype(np.uint16) << np.uint16(8)) | np.frombuffer(rng.bytes(len(candidates)), np.uint8)
    counts = np.bincount(dealt, minlength=256 * len(quota)).reshape(-1, 256)
    up_to = counts.cumsum(axis=1)
    if not np.array_equal(found := up_to[:, -1], drawable):
        raise ValueError(
            f"{image_id} - expected {drawable.tolist()} pixels by class to draw among - found {found.tolist()}{REMEDY}"
        )
    whole = up_to <= quota[:, None]
    classes = np.arange(len(quota), dtype=np.uint8)
    labels: NDArray[np.uint8] = np.take(np.where(whole, classes[:, None], np.uint8(IGNORE_INDEX)), dealt)
    left = quota - (counts * whole).sum(axis=1)
    partly = np.zeros_like(whole)
    partly[left > 0, whole[left > 0].sum(axis=1)] = True
    tied = rng.permutation(np.flatnonzero(np.take(partly, dealt)))
    tied = tied[np.argsort(candidates[tied], kind="stable")]
    own = candidates[tied]
    first = np.arange(len(tied)) - np.searchsorted(own, classes)[own] < left[own]
    labels[tied[first]] = own[first]
    return labels


def hypergeometric(rng: np.random.Generator, good: int, bad: int, draws: int) -> int:
    """Draw the number of good items among `draws` from `good + bad` without replacement, at any size.

    Below 10^9 items of either kind numpy draws. It accepts numbers by differences of logarithms of factorials, whose rounding
    makes probabilities wrong by up to 4e-6 of themselves there, and refuses more. From there on the number is a binomial one X of
    `good` items given that it and an independent binomial Y of the `bad` items, with the same probability, add up to `draws`: X
    is drawn and accepted with probability P(Y = draws - X) / max P(Y), which is near 1 as long as `good` is the smaller part.
    That one is right to 1e-12 of itself whatever the size, and X to 1e-10 for an image of some million pixels.
    """
    if good == 0 or draws == 0:
        return 0
    if bad == 0:
        return draws
    if draws == good + bad:
        return good
    if good < _NUMPY_LIMIT and bad < _NUMPY_LIMIT:
        return int(rng.hypergeometric(good, bad, draws))
    if good > bad:
        return draws - hypergeometric(rng, bad, good, draws)
    probability = draws / (good + bad)
    while True:
        drawn = int(rng.binomial(good, probability))
        rest = draws - drawn
        if 0 <= rest <= bad and math.log1p(-rng.random()) <= _log_acceptance(bad, good + bad, draws, rest):
            return drawn


def _log_acceptance(count: int, whole: int, draws: int, value: int) -> float:
    """Return log P(Y = value) - log max P(Y) of a binomial Y of `count` items with probability `draws / whole`, below 1.

    P(Y = y) / P(Y = y - 1) - 1 is ((count + 1) draws - y whole) / (y (whole - draws)), so logarithms near 0 are added up from
    the mode on, as many as the value is away: some hundreds for an image of millions of pixels. A difference of logarithms of
    factorials, which are as large as 10^13, would be rounded by as much as 0.005.
    """
    mode, remainder = divmod((count + 1) * draws, whole)
    low, high = min(mode, value), max(mode, value)
    steps = np.arange(low - mode + 1, high - mode + 1, dtype=np.float64)
    changes = (remainder / whole - steps) / ((mode + steps) * ((whole - draws) / whole))
    total = float(np.log1p(changes).sum())
    return total if value >= mode else -total
