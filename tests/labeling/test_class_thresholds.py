from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipeline.labeling.class_thresholds import Problem, allocate, draw_targets, keep_all, threshold_bin
from tests import reference

ROWS = st.lists(st.one_of(st.just(0), st.integers(0, 40)), min_size=1, max_size=12)


def problem(counts: list[list[int]], alpha: float = 0.5) -> Problem:
    table = np.array(counts, np.int64)
    return Problem(
        counts=table,
        values=np.linspace(0, 1, table.shape[1]),
        class_priors=np.full(len(table), 1 / len(table)),
        labeling_ratio=alpha,
        equal_pixels=False,
        st_confidence=None,
        thin="all",
    )


@given(ROWS, st.integers(-2, 500))
def test_the_threshold_bin_holds_the_confidence_of_that_rank(row: list[int], rank: int) -> None:
    pixels = [float(column) for column, count in enumerate(row) for _ in range(count)]
    expected = reference.nth_largest(pixels, rank)
    assert threshold_bin(np.array(row, np.int64), rank) == (len(row) if expected is None else expected)


def test_a_class_without_pixels_and_a_rank_of_zero_let_nothing_qualify() -> None:
    assert threshold_bin(np.zeros(5, np.int64), 3) == 5
    assert threshold_bin(np.array([1, 2, 3]), 0) == 3


def test_more_than_there_are_lets_all_qualify() -> None:
    assert threshold_bin(np.array([0, 0, 4, 0, 1, 0]), 6) == 2


def test_counts_beyond_32_bits_are_added_up_without_overflow() -> None:
    assert threshold_bin(np.array([2**40, 2**40, 5]), 2**40 + 5) == 1
    assert threshold_bin(np.array([2**40, 2**40, 5]), 2**40 + 6) == 0


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(0, 200))
@example([19, 12, 9], 24)
@example([1, 1, 1], 2)
def test_whole_shares_are_split_by_largest_remainder_and_equal_remainders_go_to_the_lowest_class(
    shares: list[int], total: int
) -> None:
    assume(any(shares))
    expected = reference.largest_remainder(total, [Fraction(share) for share in shares])
    assert allocate(total, np.array(shares)).tolist() == expected


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1.0)), min_size=1, max_size=20), st.integers(0, 10**12))
def test_any_shares_are_split_within_one_of_the_exact_part_and_add_up(shares: list[float], total: int) -> None:
    assume(any(shares))
    parts = allocate(total, np.array(shares)).tolist()
    assert sum(parts) == total
    whole = sum(map(Fraction, shares))
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - total * Fraction(share) / whole) < 1 + Fraction(total, 10**15)
        assert share > 0 or part == 0


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_a_split_of_the_whole_gives_the_shares_back(shares: list[int]) -> None:
    assert allocate(sum(shares), np.array(shares)).tolist() == shares


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20), st.data())
def test_no_class_is_given_more_than_its_share(shares: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(shares)))
    assert (allocate(total, np.array(shares)) <= np.array(shares)).all()


def test_nothing_to_split_or_no_share_gives_zeros() -> None:
    assert allocate(0, np.array([0.5, 0.5])).tolist() == [0, 0]
    assert allocate(7, np.array([0, 0])).tolist() == [0, 0]


def test_a_problem_knows_its_pixels_and_what_qualifies() -> None:
    case = problem([[3, 0, 2], [0, 0, 0], [1, 1, 1]], alpha=0.6)
    assert case.num_bins == 3
    assert case.predicted.tolist() == [5, 0, 3]
    assert case.total_target == 5
    assert case.qualifying(np.array([0, 0, 3])).tolist() == [5, 0, 0]
    assert case.qualifying(np.array([1, 3, 2])).tolist() == [2, 0, 1]


def test_keeping_all_draws_nothing() -> None:
    answer = keep_all(np.array([1, 3]), np.array([4, 0]))
    assert answer.keep_bins.tolist() == answer.bins.tolist()
    assert answer.draws.tolist() == [0, 0]


@pytest.mark.parametrize(("thin", "keep", "draws"), [("all", [3, 3], [4, 0]), ("ties", [2, 3], [2, 0])])
def test_thinning_draws_among_all_or_among_the_ties(thin: str, keep: list[int], draws: list[int]) -> None:
    case = problem([[5, 4, 2], [0, 0, 0]])
    answer = draw_targets(case, np.array([1, 3]), np.array([4, 2]), thin=thin)
    assert answer.keep_bins.tolist() == keep
    assert answer.draws.tolist() == draws


@given(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=4), st.data())
def test_a_draw_never_asks_for_less_than_nothing_or_more_than_there_is(counts: list[list[int]], data: st.DataObject) -> None:
    case = problem(counts)
    targets = np.array([data.draw(st.integers(0, 50)) for _ in counts])
    bins = np.array([threshold_bin(row, int(rank)) for row, rank in zip(case.counts, targets, strict=True)])
    for thin in ("all", "ties"):
        answer = draw_targets(case, bins, targets, thin=thin)
        drawable = case.qualifying(answer.bins) - case.qualifying(answer.keep_bins)
        assert ((answer.draws >= 0) & (answer.draws <= drawable)).all()
        realized = answer.draws + case.qualifying(answer.keep_bins)
        assert realized.tolist() == np.minimum(targets, case.predicted).tolist()
