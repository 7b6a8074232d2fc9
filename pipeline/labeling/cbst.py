"""CBST: the same share of every class's predictions."""

import numpy as np

from pipeline.labeling.class_thresholds import Problem, Thresholds, draw_targets, keep_all, threshold_bin


def solve_cbst(problem: Problem) -> Thresholds:
    """Label the most confident share alpha of the pixels predicted as each class.

    Balanced over the *predicted* classes, not over the true ones: a bias of the teacher stays in the pseudo labels.

    Reference: Zou et al. 2018, Feng et al. 2020; He et al., Sec. 4.3.1 (CBST).
    """
    targets = np.array([round(problem.labeling_ratio * int(count)) for count in problem.predicted], np.int64)
    bins = np.array([threshold_bin(row, int(rank)) for row, rank in zip(problem.counts, targets, strict=True)], np.int64)
    return draw_targets(problem, bins, targets, thin="all") if problem.equal_pixels else keep_all(bins, targets)
