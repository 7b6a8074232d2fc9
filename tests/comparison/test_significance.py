import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from pipeline.comparison.significance import paired_difference

SCORES = st.floats(0, 1, width=32)


@given(st.lists(st.tuples(SCORES, SCORES), min_size=2, max_size=8).filter(lambda pairs: len({a - b for a, b in pairs}) > 1))
def test_the_interval_is_that_of_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    found = paired_difference(ours, theirs)
    expected = ttest_rel(ours, theirs)
    interval = expected.confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)
    assert found.is_clear == (expected.pvalue < 0.05)


def test_a_spread_that_both_runs_share_cancels() -> None:
    found = paired_difference([0.30, 0.40, 0.50], [0.29, 0.39, 0.49])
    assert found is not None
    assert found.mean == pytest.approx(0.01)
    assert found.is_clear


def test_one_seed_has_no_interval_and_is_never_clear() -> None:
    found = paired_difference([0.9], [0.1])
    assert found is not None
    assert (found.low, found.high, found.is_clear) == (None, None, False)


def test_without_a_common_seed_or_with_an_infinite_value_there_is_no_difference() -> None:
    assert paired_difference([], []) is None
    assert paired_difference([float("inf"), 1.0], [0.0, 1.0]) is None
