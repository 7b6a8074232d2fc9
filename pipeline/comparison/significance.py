"""Is one run better than another, or is it the seed? Paired differences with a confidence interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

LEVEL = 0.95
"""Coverage of the confidence intervals."""


@dataclass(frozen=True)
class Difference:
    """How much larger one run's measure is than another's, on the same seeds.

    Attributes:
        mean: of the differences, seed by seed.
        low: lower end of the confidence interval of the mean; None below two seeds.
        high: its upper end, likewise.
        seeds: number of seeds that both have.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> Difference | None:
    """Compare two runs seed by seed: split, initial weights and draws are the same in a pair, so their spread cancels.

    The interval is Student's t for the mean of the differences. With three seeds it is wide (4.3 standard errors), as it must be.

    Args:
        ours: (K,) a measure by seed.
        theirs: (K,) the same measure of the other run, of the same seeds in the same order.

    Returns:
        None without a seed or where a value is infinite.
    """
    differences = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    count = len(differences)
    if count == 0 or not np.isfinite(differences).all():
        return None
    mean = float(differences.mean())
    if count == 1:
        return Difference(mean, None, None, 1)
    reach = float(student_t.ppf((1 + LEVEL) / 2, count - 1) * differences.std(ddof=1) / math.sqrt(count))
    return Difference(mean, mean - reach, mean + reach, count)
