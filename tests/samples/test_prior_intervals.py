"""Intervals of class shares: held to all draws of few images, and to how often they hold the truth."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.samples.prior_intervals import PriorIntervals, bootstrap_shares
from pipeline.samples.priors import perturb, shrink


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(1, 50), min_size=3, max_size=3), min_size=1, max_size=4))
def test_the_ends_are_those_of_all_possible_draws(rows: list[list[int]]) -> None:
    counts = np.array(rows, np.int64)
    low, high = bootstrap_shares(counts, np.random.default_rng(0))
    every = np.array([counts[list(drawn)].sum(axis=0) for drawn in itertools.product(range(len(rows)), repeat=len(rows))])
    shares = every / every.sum(axis=1, keepdims=True)
    # A thousand draws of at most 256 are not all of them: the ends lie between near percentiles.
    for end, near in ((low, (0.0, 5.5)), (high, (94.5, 100.0))):
        below, above = np.percentile(shares, near, axis=0)
        assert (below - 1e-12 <= end).all()
        assert (end <= above + 1e-12).all()


def test_nineteen_of_twenty_intervals_hold_the_share_that_images_are_drawn_from() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(60):
        rare = rng.binomial(1000, rng.beta(2.0, 18.0, size=40))  # a tenth on average, differing from image to image
        low, high = bootstrap_shares(np.stack([rare, 1000 - rare], axis=1), rng)
        held += bool(low[0] <= 0.1 <= high[0])
    assert 50 <= held <= 60


def test_images_without_a_class_and_classes_without_a_pixel_are_no_trouble() -> None:
    low, high = bootstrap_shares(np.array([[0, 0, 0], [3, 0, 1], [0, 0, 0]]), np.random.default_rng(0))
    assert low.tolist() == high.tolist() == [0.75, 0.0, 0.25]


def test_the_same_generator_gives_the_same_file_and_it_reads_back(tmp_path: Path) -> None:
    counts = np.array([[5, 2], [1, 9], [4, 4]])
    built = [PriorIntervals.build(["a", "b"], counts, np.random.default_rng(3)) for _ in range(2)]
    built[0].write(tmp_path / "one.json")
    built[1].write(tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert PriorIntervals.read(tmp_path / "one.json") == built[0]
    assert built[0].images == 3


def test_an_interval_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="low at most high"):
        PriorIntervals(images=1, low={"a": 0.5}, high={"a": 0.4})


@pytest.mark.parametrize(("part", "expected"), [(0.0, [0.5, 0.5]), (1.0, [0.9, 0.1]), (0.25, [0.6, 0.4])])
def test_shrunk_priors_lie_between_those_given_and_those_predicted(part: float, expected: list[float]) -> None:
    mixed = shrink(np.array([0.5, 0.5]), np.array([[4, 5], [0, 1]]), part)
    assert mixed.tolist() == pytest.approx(expected, rel=1e-12)


def test_perturbed_priors_are_wrong_by_as_much_as_was_asked_for() -> None:
    priors = np.array([0.7, 0.2, 0.1])
    drawn = np.stack([perturb(priors, 0.3, np.random.default_rng(seed)) for seed in range(300)])
    assert drawn.sum(axis=1) == pytest.approx(np.ones(300))
    ratios = drawn / priors
    assert ratios.min() > 0.7 / 1.3
    assert ratios.max() < 1.3 / 0.7
    assert perturb(priors, 0.0, np.random.default_rng(0)) is priors
