"""`alpha: auto`: the largest labeling ratio that a rule allows, from the counts alone."""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from pipeline.labeling.class_thresholds import Problem, Thresholds, allocate
from pipeline.labeling.solve import METHODS
from pipeline.params import AutoAlphaParams
from pipeline.selection import RatioChoice

_STEPS = 100
"""Ratios that the rule `precision` tries: whole percents."""

_FINEST = 10**9
"""Largest denominator of a prior's fraction."""


def choose_ratio(
    method: str, problem: Problem, params: AutoAlphaParams, *, class_names: Sequence[str]
) -> tuple[float, RatioChoice]:
    """Choose the labeling ratio of a round.

    Args:
        method: a key of `METHODS`.
        problem: counts and priors; its ratio is not read.
        params: section.
        class_names: (C,).

    Returns:
        The ratio, in (0, 1], and why it is this one.

    Raises:
        ValueError: no ratio obeys the rule.
    """
    if params.rule == "no_shortfall":
        return _without_shortfall(problem, class_names)
    return _precise(method, problem, params.precision)


def expected_precision(problem: Problem, thresholds: Thresholds) -> float | None:
    """Return the mean confidence of the pixels that get a label: the share of right ones, if confidences are calibrated.

    Pixels that are drawn count with the mean of those among which they are drawn. None where no pixel gets a label.
    """
    total, labeled = 0.0, 0
    for label, (start, keep) in enumerate(zip(thresholds.bins.tolist(), thresholds.keep_bins.tolist(), strict=True)):
        counts, values = problem.counts[label], problem.values_of(label).astype(np.float64)
        kept, drawn = int(counts[keep:].sum()), int(thresholds.draws[label])
        total += float(counts[keep:] @ values[keep:])
        if drawn:
            total += drawn * float(counts[start:keep] @ values[start:keep]) / int(counts[start:keep].sum())
        labeled += kept + drawn
    return total / labeled if labeled else None


def _without_shortfall(problem: Problem, class_names: Sequence[str]) -> tuple[float, RatioChoice]:
    # The largest number of labels T with T r_j <= m_j for every class. Priors are shares of counted pixels, whose floats lie next
    # to a fraction of whole numbers: of 0.4, 8 pixels are the share of 20. Where that rounding matters, T is one less.
    priors = [Fraction(prior).limit_denominator(_FINEST) for prior in problem.class_priors.tolist()]
    pixels, predicted = int(problem.counts.sum()), problem.predicted.tolist()
    most, label = min((math.floor(predicted[label] / prior), label) for label, prior in enumerate(priors) if prior > 0)
    most = min(most, pixels)
    while most and (allocate(most, problem.class_priors) > problem.predicted).any():
        most -= 1
    share = float(problem.class_priors[label])
    limit = f"{class_names[label]} is predicted at {predicted[label]:,} pixels and has a share of {share:.2%}"
    if most == 0:
        raise ValueError(
            f"alpha - expected a ratio that leaves no class in shortfall - found none, as {limit} - set alpha to a number,"
            " or train the teacher until it predicts every class"
        )
    if most == pixels:
        return 1.0, RatioChoice(rule="no_shortfall", limit="every pixel can be labeled")
    return most / pixels, RatioChoice(rule="no_shortfall", limit=limit)


def _precise(method: str, problem: Problem, least: float) -> tuple[float, RatioChoice]:
    best = 0.0
    for step in range(_STEPS, 0, -1):
        tried = replace(problem, labeling_ratio=step / _STEPS)
        found = expected_precision(tried, METHODS[method](tried))
        if found is None:
            continue
        best = max(best, found)
        if found >= least:
            return step / _STEPS, RatioChoice(rule="precision", limit=f"{found:.2%} of the labels are expected to be right")
    raise ValueError(
        f"auto_alpha.precision - expected a ratio whose labels are right at {least:.1%} of their pixels - found {best:.1%}"
        " at most - lower it, or set alpha to a number"
    )
