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

    From 10^9 items on, numpy's own sampler refuses. There the number is a binomial one X of `good` items given that it and an
    independent binomial Y of the `bad` items, with the same probability, add up to `draws`: X is drawn and accepted
    with probability P(Y = draws - X) / max P(Y), which is near 1 as long as `good`, one image, is the smaller part.
    """
    if good == 0 or draws == 0:
        return 0
    if bad == 0:
        return draws
    if good < _NUMPY_LIMIT and bad < _NUMPY_LIMIT:
        return int(rng.hypergeometric(good, bad, draws))
    probability = draws / (good + bad)
    mode = min(math.floor((bad + 1) * probability), bad)
    while True:
        drawn = int(rng.binomial(good, probability))
        rest = draws - drawn
        if 0 <= rest <= bad and math.log1p(-rng.random()) <= _log_ratio(bad, probability, rest, mode):
            return drawn


def _log_ratio(count: int, probability: float, value: int, mode: int) -> float:
    """Return log P(Y = value) - log P(Y = mode) of a binomial Y."""
    # Below 10^9 pixels nobody comes here. One number at a time, this returns the bits of the function for arrays, and sooner.
    from scipy.special.cython_special import gammaln

    if probability >= 1.0:
        return 0.0 if value == count else -math.inf
    odds = math.log(probability) - math.log1p(-probability)
    at_mode, at_value = ((gammaln(float(part + 1)), gammaln(float(count - part + 1))) for part in (mode, value))
    return float((at_mode[0] - at_value[0]) + (at_mode[1] - at_value[1])) + (value - mode) * odds
