"""How well the labeled images know the class shares: an interval for each, by a bootstrap over images."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pipeline.schema import Artifact, Share

DRAWS = 1000
"""Times that the images are drawn anew."""


class PriorIntervals(Artifact):
    """`prior_intervals.json`: 95 % intervals of the shares of the labeled pixels, by class name in the order of the train ids."""

    described_as: ClassVar[str] = "intervals of class shares"
    written_by: ClassVar[str] = "prepare"

    images: int
    """Labeled images, held-out ones included."""
    low: Mapping[str, Share]
    high: Mapping[str, Share]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if list(self.low) != list(self.high) or any(self.low[name] > self.high[name] for name in self.low):
            raise ValueError("expected low and high of the same classes, low at most high")
        return self

    @classmethod
    def build(cls, class_names: Sequence[str], counts: NDArray[np.int64], rng: np.random.Generator) -> Self:
        """Put class names together with the intervals of the shares of `counts`, (N, C), pixels of each class in each image."""
        low, high = bootstrap_shares(counts, rng)
        named = [dict(zip(class_names, values.tolist(), strict=True)) for values in (low, high)]
        return cls(images=len(counts), low=named[0], high=named[1])


def bootstrap_shares(counts: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 2.5th and the 97.5th percentile of the class shares over images that are drawn with replacement.

    Neighboring pixels say the same, so images are the unit. With one image both ends are its own shares, with few the interval is
    too short: a class that only unlabeled images show has none at all. Takes `DRAWS` passes over the images, 1 s for 100,000.

    Args:
        counts: (N, C) int64, N >= 1, at least one pixel in all.
        rng: the only source of randomness.

    Returns:
        Two times (C,) float64.

    Reference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, Sec. 13.3.
    """
    totals = np.empty((DRAWS, counts.shape[1]), np.float64)
    for draw in range(DRAWS):
        times = np.bincount(rng.integers(0, len(counts), len(counts)), minlength=len(counts))
        totals[draw] = times @ counts
    sums = totals.sum(axis=1)
    shares = totals[sums > 0] / sums[sums > 0, None]  # images of ignored pixels alone say nothing
    low, high = np.percentile(shares, [2.5, 97.5], axis=0)
    return low, high
