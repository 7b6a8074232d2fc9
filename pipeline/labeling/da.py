"""DA: thresholds that align the class distribution with the class priors, ties and all."""

import numpy as np
from numpy.typing import NDArray

from pipeline.labeling.class_thresholds import Problem, Thresholds, allocate, draw_targets, keep_all, threshold_bin


def align(problem: Problem) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Solve Eq. 3-4: the threshold of class j is the n_j-th largest confidence of the pixels predicted as j.

    A class with fewer than n_j predicted pixels gives all it has; its shortfall goes to no other class.

    Returns:
        bins (C,) int64 and targets n_j (C,) int64, which add up to round(alpha P).
    """
    targets = allocate(problem.total_target, problem.class_priors)
    bins = np.array([threshold_bin(row, int(rank)) for row, rank in zip(problem.counts, targets, strict=True)], np.int64)
    return bins, targets


def solve_da(problem: Problem) -> Thresholds:
    """Align by thresholds alone: confidence overlapping makes a class exceed its target (Sec. 3.2).

    With `equal_pixels` this is `dars`.

    Reference: He et al., Eq. 3-4; Sec. 4.3.1 (DA).
    """
    bins, targets = align(problem)
    return draw_targets(problem, bins, targets, thin="all") if problem.equal_pixels else keep_all(bins, targets)
