"""From counts to a selection: one table of methods, one account of what each will label."""

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.divergence import divergence
from pipeline.labeling.cbst import solve_cbst
from pipeline.labeling.class_thresholds import Problem, Thresholds
from pipeline.labeling.da import solve_da
from pipeline.labeling.dars import solve_dars
from pipeline.labeling.none import solve_none
from pipeline.labeling.st import solve_st
from pipeline.selection import Selection

METHODS: dict[str, Callable[[Problem], Thresholds]] = {
    "none": solve_none,
    "st": solve_st,
    "cbst": solve_cbst,
    "da": solve_da,
    "dars": solve_dars,
}


def solve_class_thresholds(method: str, problem: Problem, *, class_names: Sequence[str]) -> Selection:
    """Solve for the thresholds of `method` and work out exactly what they will label.

    Args:
        method: a key of `METHODS`.
        problem: counts, priors and labeling ratio.
        class_names: (C,).

    Raises:
        ValueError: priors, counts and class names do not match.
    """
    if not len(class_names) == len(problem.counts) == len(problem.class_priors):
        raise ValueError(
            f"class priors - expected one for each of {len(problem.counts)} classes - found {len(problem.class_priors)}"
            f" for {len(class_names)} names"
            " - run the stages `prepare` and `infer`"
        )
    thresholds = METHODS[method](problem)
    qualifying = problem.qualifying(thresholds.bins)
    realized = problem.qualifying(thresholds.keep_bins) + thresholds.draws
    pixels = int(problem.counts.sum())
    wanted = problem.class_priors > 0
    return Selection(
        method=method,
        class_names=tuple(class_names),
        num_pixels=pixels,
        class_priors=tuple(problem.class_priors.tolist()),
        class_thresholds=_values(problem, thresholds.bins),
        keep_thresholds=_values(problem, thresholds.keep_bins),
        sampling_rates=tuple((realized / np.maximum(qualifying, 1)).tolist()),
        targets=tuple(thresholds.targets.tolist()),
        predicted_counts=tuple(problem.predicted.tolist()),
        qualifying_counts=tuple(qualifying.tolist()),
        draws=tuple(thresholds.draws.tolist()),
        realized_counts=tuple(realized.tolist()),
        shortfalls=tuple(np.maximum(thresholds.targets - realized, 0).tolist()),
        labeling_ratio=problem.labeling_ratio,
        ratio_choice=problem.ratio_choice,
        coverage=int(realized.sum()) / pixels,
        alpha_max=float((problem.predicted[wanted] / (pixels * problem.class_priors[wanted])).min()),
        kl=divergence(problem.class_priors, realized),
    )


def check_labels(selection: Selection) -> None:
    """Refuse a method that labels no pixel: its student would silently be the control `none`.

    Raises:
        ValueError: says what to change.
    """
    if selection.method != "none" and not any(selection.realized_counts):
        raise ValueError(
            f"params.yaml - alpha, st_confidence - expected pixels for the method {selection.method} to label - found none of"
            f" {selection.num_pixels:,} at alpha {selection.labeling_ratio:g} - change it, or set method=none to train on without"
        )


def _values(problem: Problem, bins: np.ndarray) -> tuple[float | None, ...]:
    return tuple(
        None if start == problem.num_bins else float(problem.values_of(label)[start]) for label, start in enumerate(bins.tolist())
    )
