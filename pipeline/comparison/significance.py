"""Is one run better than another, or is it the seed? Paired differences with a confidence interval."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.schema import Section

LEVEL = 0.95
"""Coverage of the confidence intervals."""


class Difference(Section):
    """How much larger one run's measure is than another's, on the same seeds."""

    mean: float
    """Of the differences, seed by seed."""
    low: float | None
    """Lower end of the confidence interval of the mean; None below two seeds."""
    high: float | None
    """Its upper end, likewise."""
    seeds: int
    """Number of seeds that both have."""

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
    if not differences.size or not np.isfinite(differences).all():
        return None
    mean, seeds = float(differences.mean()), len(differences)
    if seeds == 1:
        return Difference(mean=mean, low=None, high=None, seeds=1)
    from scipy.stats import ttest_rel  # half a second, which one seed does not need

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)  # equal differences have an interval of no width
        interval = ttest_rel(ours, theirs).confidence_interval(LEVEL)
    return Difference(mean=mean, low=float(interval.low), high=float(interval.high), seeds=seeds)


def difference_by_seed(ours: Mapping[int, float | None], theirs: Mapping[int, float | None]) -> Difference | None:
    """Do what `paired_difference` does with measures by seed: over the seeds of which both runs have a value."""
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    known = [(our, their) for our, their in pairs if our is not None and their is not None]
    return paired_difference([our for our, _ in known], [their for _, their in known])
