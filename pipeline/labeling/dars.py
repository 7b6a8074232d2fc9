"""DARS: distribution alignment and random sampling."""

from pipeline.labeling.class_thresholds import Problem, Thresholds, draw_targets
from pipeline.labeling.da import align


def solve_dars(problem: Problem) -> Thresholds:
    """Align the thresholds, then draw exactly the target of each class from the pixels that qualify.

    Reference: He et al., Algorithm 1.
    """
    bins, targets = align(problem)
    return draw_targets(problem, bins, targets, thin=problem.thin)
