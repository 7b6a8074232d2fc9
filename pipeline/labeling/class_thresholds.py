"""Exact thresholds from counts: float16 confidences take few thousand values, so counting them is sorting them.

A threshold is handled as a column of the counts ("bin"), ascending in confidence. A pixel qualifies when its bin is at least the
threshold's; bin B, one past the last, means that no pixel qualifies.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pipeline.selection import RatioChoice


@dataclass(frozen=True)
class Problem:
    """What every method is asked.

    Attributes:
        counts: (C, B) int64, unlabeled pixels predicted as a class at each confidence, over all images.
        values: (B,) or (C, B) float, ascending: the confidence of each column; of each class where they differ.
        class_priors: (C,) float64, sums to 1: class shares that pseudo labels are aligned with (r_j; R(.) of Eq. 3).
        labeling_ratio: the paper's alpha, in (0, 1].
        equal_pixels: thin `st`, `cbst` and `da` to their targets as `dars` does.
        st_confidence: a fixed threshold for `st`, or None.
        thin: `all` or `ties`: what `dars` draws among.
        ratio_choice: why it has its labeling ratio, where nobody gave it.
    """

    counts: NDArray[np.int64]
    values: NDArray[np.floating]
    class_priors: NDArray[np.float64]
    labeling_ratio: float
    equal_pixels: bool
    st_confidence: float | None
    thin: str
    ratio_choice: RatioChoice | None = None

    @property
    def num_bins(self) -> int:
        """Number of confidence values B; as a threshold it means that no pixel qualifies."""
        return int(self.counts.shape[1])

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(C,) int64: pixels predicted as each class (m_j)."""
        return np.asarray(self.counts.sum(axis=1), np.int64)

    @property
    def total_target(self) -> int:
        """Pixels to label over all classes: round(alpha P), P = all unlabeled pixels."""
        return round(self.labeling_ratio * int(self.counts.sum()))

    def values_of(self, label: int) -> NDArray[np.floating]:
        """Return (B,) float, ascending: the confidence of each column of a class."""
        values: NDArray[np.floating] = self.values if self.values.ndim == 1 else self.values[label]
        return values

    def qualifying(self, bins: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the pixels of each class at or above its bin.

        Args:
            bins: (C,) int64 in 0..B.

        Returns:
            (C,) int64.
        """
        return np.array([row[start:].sum() for row, start in zip(self.counts, bins, strict=True)], np.int64)


@dataclass(frozen=True)
class Thresholds:
    """What every method answers.

    Attributes:
        bins: (C,) int64 in 0..B; a pixel predicted as class j qualifies when its bin is at least `bins[j]`.
        keep_bins: (C,) int64 in `bins`..B; at or above, a qualifying pixel is kept for certain.
        targets: (C,) int64, pixels that the method means to label.
        draws: (C,) int64, how many of the pixels between `bins` and `keep_bins` are drawn at random.
    """

    bins: NDArray[np.int64]
    keep_bins: NDArray[np.int64]
    targets: NDArray[np.int64]
    draws: NDArray[np.int64]


def threshold_bin(row: NDArray[np.int64], rank: int) -> int:
    """Return the bin of the `rank`-th largest confidence.

    Args:
        row: (B,) int64, pixels at each confidence.
        rank: 1 = the largest. 0 or less returns B: nothing qualifies. More than there are pixels returns the smallest
            occupied bin: all qualify (B if there is no pixel).
    """
    num_bins = len(row)
    total = int(row.sum())
    if rank <= 0 or total == 0:
        return num_bins
    at_or_above = np.cumsum(row[::-1])
    return num_bins - 1 - int(np.searchsorted(at_or_above, min(rank, total)))


def keep_all(bins: NDArray[np.int64], targets: NDArray[np.int64]) -> Thresholds:
    """Keep every qualifying pixel, ties and all; more than the targets may be labeled."""
    return Thresholds(bins=bins, keep_bins=bins, targets=targets, draws=np.zeros_like(bins))


def draw_targets(problem: Problem, bins: NDArray[np.int64], targets: NDArray[np.int64], *, thin: str) -> Thresholds:
    """Draw exactly `targets` pixels from those that qualify (Algorithm 1, lines 5-6), or all where fewer do.

    Args:
        problem: the counts.
        bins: (C,) int64, thresholds.
        targets: (C,) int64.
        thin: `all` draws among everything that qualifies; `ties` keeps what lies above the threshold's own value for certain.
    """
    keep_bins = np.full_like(bins, problem.num_bins) if thin == "all" else np.minimum(bins + 1, problem.num_bins)
    wanted = np.minimum(targets, problem.qualifying(bins))
    return Thresholds(bins=bins, keep_bins=keep_bins, targets=targets, draws=wanted - problem.qualifying(keep_bins))


def allocate(total: int, shares: NDArray[np.floating] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Split `total` in proportion to `shares` into whole numbers that add up to it (largest remainder).

    Args:
        total: 0 or more.
        shares: (C,) non-negative, not all 0 unless `total` is 0; need not sum to 1.

    Returns:
        (C,) int64; a class with share 0 gets 0. Equal remainders go to the lowest class.
    """
    # Fractions: in floating point, the noise of the last digit would decide between equal remainders.
    weights = [Fraction(share) for share in shares.tolist()]
    whole = sum(weights)
    if total == 0 or whole == 0:
        return np.zeros(len(shares), np.int64)
    exact = [total * weight / whole for weight in weights]
    parts = [math.floor(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda index: (parts[index] - exact[index], index))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return np.array(parts, np.int64)
