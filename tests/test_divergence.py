"""The divergence against its definition and scipy's, its closed forms, and as JSON."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.stats import entropy

from pipeline.divergence import EPSILON, Divergence, divergence
from tests import reference

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=19)


@given(COUNTS, st.data())
def test_the_divergence_is_that_of_the_definition_and_of_scipy(counts: list[int], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.integers(0, 10**9), min_size=len(counts), max_size=len(counts)))
    assume(any(counts) and any(others))
    value = divergence(counts, others).value
    assert value == pytest.approx(reference.kl(counts, others), rel=1e-9, abs=1e-12)
    assert value == pytest.approx(entropy(counts, others), rel=1e-9, abs=1e-12)
    assert value is not None
    assert value >= 0


@given(COUNTS.filter(any), st.data())
def test_the_divergence_is_to_the_bit_what_scipy_adds_up(counts: list[int], data: st.DataObject) -> None:
    near = [count + data.draw(st.integers(0, 1 + count // 8)) for count in counts]
    p, q = np.array(counts) / sum(counts), np.array(near) / sum(near)
    assert divergence(p, q).value == max(float(rel_entr(p / p.sum(), q / q.sum()).sum()), 0.0)


@given(COUNTS.filter(any), st.integers(1, 1000))
def test_the_divergence_of_a_distribution_from_itself_is_zero_at_any_scale(counts: list[int], factor: int) -> None:
    assert divergence(counts, [count * factor for count in counts]).value == pytest.approx(0, abs=1e-12)


def test_an_absent_class_makes_the_divergence_infinite_but_not_the_smoothed_one() -> None:
    found = divergence([0.5, 0.5], [3, 0])
    smoothed = [1 + EPSILON, EPSILON]
    assert found.value == math.inf
    assert found.smoothed == pytest.approx(reference.kl([0.5, 0.5], smoothed), rel=1e-12)
    assert found.epsilon == EPSILON


def test_a_class_that_only_the_pseudo_labels_have_adds_nothing_of_its_own() -> None:
    assert divergence([1, 0], [1, 1]).value == pytest.approx(math.log(2))


def test_without_any_pixel_there_is_no_divergence() -> None:
    for reference_counts, others in (([1, 1], [0, 0]), ([0, 0], [1, 1])):
        assert divergence(reference_counts, others) == Divergence(value=None, smoothed=None, epsilon=EPSILON)


@given(COUNTS.filter(any), st.data())
def test_a_divergence_reads_back_from_json_and_infinity_is_a_text(counts: list[int], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.integers(0, 5), min_size=len(counts), max_size=len(counts)))
    found = divergence(counts, others)
    text = found.model_dump_json()
    assert Divergence.model_validate_json(text) == found
    assert ('"value":"inf"' in text) == (found.value == math.inf)


@pytest.mark.parametrize("value", ['"infinite"', "-1.0", "NaN"])
def test_what_is_no_divergence_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="value"):
        Divergence.model_validate_json(f'{{"value": {value}, "smoothed": 0.5}}')


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.1])
def test_what_is_no_distribution_has_no_divergence(wrong: float) -> None:
    for pair in (([wrong, 0.5], [0.5, 0.5]), ([0.5, 0.5], [wrong, 0.5])):
        with pytest.raises(ValueError, match="class distribution - expected counts or shares"):
            divergence(*pair)
