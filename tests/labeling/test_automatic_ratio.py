"""`alpha: auto` against a search through all ratios, with pixels instead of counts."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.labeling.automatic_ratio import choose_ratio, expected_precision
from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.solve import METHODS, solve_class_thresholds
from pipeline.params import AutoAlphaParams
from tests.strategies import FLOAT16_VALUES

SHORTFALL = AutoAlphaParams(rule="no_shortfall", precision=1.0)
NAMES = ("road", "car", "bicycle")


def precise(least: float) -> AutoAlphaParams:
    return AutoAlphaParams(rule="precision", precision=least)


def problem(counts: Any, priors: Any, **changes: Any) -> Problem:
    rows = np.array(counts, np.int64)
    plain = Problem(
        counts=rows,
        values=FLOAT16_VALUES[-1000:][:: 1000 // rows.shape[1]][: rows.shape[1]],
        class_priors=np.array(priors, np.float64) / np.sum(priors),
        labeling_ratio=1.0,
        equal_pixels=False,
        st_confidence=None,
        thin="all",
    )
    return replace(plain, **changes)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    counts = draw(st.lists(st.lists(st.integers(0, 9), min_size=8, max_size=8), min_size=3, max_size=3))
    counts[draw(st.integers(0, 2))][draw(st.integers(0, 7))] += 1
    priors = draw(st.lists(st.integers(1, 20), min_size=3, max_size=3))
    return problem(counts, priors, thin=draw(st.sampled_from(["all", "ties"])), equal_pixels=draw(st.booleans()))


@settings(max_examples=150, deadline=None)
@given(problems())
def test_without_shortfall_it_is_the_largest_that_a_search_finds(given_problem: Problem) -> None:
    pixels, predicted = int(given_problem.counts.sum()), given_problem.predicted.tolist()
    shares = [Fraction(share).limit_denominator(60) for share in given_problem.class_priors.tolist()]
    fits = [
        total
        for total in range(1, pixels + 1)
        if all(total * share <= count for share, count in zip(shares, predicted, strict=True))
    ]
    if not fits:
        with pytest.raises(ValueError, match="alpha - expected a ratio that leaves no class in shortfall - found none"):
            choose_ratio("dars", given_problem, SHORTFALL, class_names=NAMES)
        return
    ratio, _ = choose_ratio("dars", given_problem, SHORTFALL, class_names=NAMES)
    assert round(ratio * pixels) == fits[-1]
    assert sum(shares) == 1
    solved = solve_class_thresholds("dars", replace(given_problem, labeling_ratio=ratio), class_names=NAMES)
    assert not any(solved.shortfalls)


def pixel_precision(given_problem: Problem, method: str) -> float | None:
    """Return the mean confidence over labeled pixels, each on its own: those among which is drawn by the chance of each."""
    thresholds = METHODS[method](given_problem)
    weights, confidences = [], []
    for label, row in enumerate(given_problem.counts.tolist()):
        pixels = [column for column, number in enumerate(row) for _ in range(number)]
        start, keep, draws = (int(part[label]) for part in (thresholds.bins, thresholds.keep_bins, thresholds.draws))
        drawable = sum(start <= column < keep for column in pixels)
        for column in pixels:
            if column >= start:
                weights.append(1.0 if column >= keep else draws / drawable)
                confidences.append(float(given_problem.values_of(label)[column]))
    return float(np.average(confidences, weights=weights)) if sum(weights) else None


@pytest.mark.parametrize("method", ["st", "cbst", "da", "dars"])
@settings(max_examples=40, deadline=None)
@given(problems(), st.floats(0.4, 0.95))
def test_by_precision_it_is_the_largest_percent_that_a_search_over_pixels_finds(
    method: str, given_problem: Problem, least: float
) -> None:
    found = {percent: pixel_precision(replace(given_problem, labeling_ratio=percent / 100), method) for percent in range(1, 101)}
    # At the border itself rounding decides.
    good = [percent for percent, value in found.items() if value is not None and value >= least + 1e-9]
    unsure = [percent for percent, value in found.items() if value is not None and abs(value - least) < 1e-9]
    if not good and not unsure:
        with pytest.raises(ValueError, match=r"auto_alpha\.precision - expected a ratio whose labels are right"):
            choose_ratio(method, given_problem, precise(least), class_names=NAMES)
        return
    ratio, choice = choose_ratio(method, given_problem, precise(least), class_names=NAMES)
    assert round(100 * ratio) in {max(good, default=0), *unsure}
    assert "expected to be right" in choice.limit


def test_the_class_that_decides_is_named() -> None:
    ratio, choice = choose_ratio("dars", problem([[9, 9], [9, 9], [0, 2]], [5, 4, 1]), SHORTFALL, class_names=NAMES)
    assert (ratio, choice.rule) == (20 / 38, "no_shortfall")
    assert choice.limit == "bicycle is predicted at 2 pixels and has a share of 10.00%"


def test_where_every_class_has_its_share_all_pixels_are_labeled() -> None:
    ratio, choice = choose_ratio("dars", problem([[5, 5], [4, 4], [1, 1]], [5, 4, 1]), SHORTFALL, class_names=NAMES)
    assert (ratio, choice.limit) == (1.0, "every pixel can be labeled")


def test_of_no_labeled_pixel_there_is_no_precision() -> None:
    given_problem = problem([[0, 0], [3, 0], [0, 0]], [1, 1, 1], st_confidence=1.0)
    assert expected_precision(given_problem, METHODS["st"](given_problem)) is None
