"""ST: a single threshold for all classes."""

import numpy as np

from pipeline.labeling.class_thresholds import Problem, Thresholds, allocate, draw_targets, keep_all, threshold_bin


def solve_st(problem: Problem) -> Thresholds:
    """Label the most confident pixels, whatever their class.

    The threshold is the round(alpha P)-th largest confidence, or `st_confidence` if one is fixed. A class has no target of its
    own: its target is its share of what qualifies, so `equal_pixels` keeps ST's class distribution and only ends the overshoot.
    With a fixed threshold under `equal_pixels`, alpha bounds the number of pixels; fewer may qualify.

    Reference: He et al., Sec. 1 and 4.3.1 (ST); Zoph et al. 2020.
    """
    if problem.st_confidence is None:
        threshold = threshold_bin(problem.counts.sum(axis=0), problem.total_target)
    else:
        threshold = int(np.searchsorted(problem.values_of(0), problem.st_confidence, side="left"))
    bins = np.full(len(problem.counts), threshold, np.int64)
    qualifying = problem.qualifying(bins)
    free = problem.st_confidence is not None and not problem.equal_pixels
    total = int(qualifying.sum()) if free else min(problem.total_target, int(qualifying.sum()))
    targets = allocate(total, qualifying)
    return draw_targets(problem, bins, targets, thin="all") if problem.equal_pixels else keep_all(bins, targets)
