"""The order of images, held against what sets of images are worth by definition."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.suggestions.demand import Demand, find_demand
from pipeline.suggestions.evidence import Evidence
from pipeline.suggestions.rank import rank_at_random, rank_by_shortfall, rank_by_uncertainty
from pipeline.suggestions.series import Series
from tests import reference
from tests.labeling.cases import add_counts, quantized, solve
from tests.strategies import Maps, class_priors, labeling_ratios, softmax_maps
from tests.suggestions.cases import evidence_of

LABELED = 500


def evidence(right: list[list[float]], predicted: list[list[int]]) -> Evidence:
    return Evidence([f"image{index}x" for index in range(len(right))], np.array(predicted), np.array(right, np.float64))


def demand(shortages: list[float], share: float = 0.1) -> Demand:
    short = np.array(shortages)
    return Demand([f"class_{index}" for index in range(len(short))], short, short * share * LABELED, LABELED)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_each_image_is_the_one_that_adds_most_to_those_before_it(data: st.DataObject) -> None:
    maps = data.draw(softmax_maps())
    priors, alpha = data.draw(class_priors(maps.num_classes)), data.draw(labeling_ratios())
    names = data.draw(st.permutations(["a_1", "a_2", "a_3", "park"]))[: len(maps.probs)]
    apart = data.draw(st.integers(0, 2))
    for method in ("dars", "none"):
        selection = solve(method, add_counts(quantized(maps)), priors, alpha)
        found = find_demand(selection, labeled_pixels=LABELED)
        wants = reference.wanted(maps.by_class(), priors.tolist(), alpha=alpha, labeled_pixels=LABELED)
        if not reference.is_decided(round(alpha * selection.num_pixels), [Fraction(r) for r in priors.tolist()]):
            return
        assert found.shortages.tolist() == pytest.approx(wants.shortages)
        check_greedy(maps, names, found, wants, apart)


def check_greedy(maps: Maps, names: list[str], found: Demand, wants: reference.Wanted, apart: int) -> None:
    known = evidence_of(maps, names)
    ranked = rank_by_shortfall(known, found, Series(known.image_ids), count=9, apart=apart)
    assert sorted(choice.index for choice in ranked) == list(range(len(names)))
    pixels = {name: maps.pixels(index) for index, name in enumerate(names)}
    chosen: list[str] = []
    in_pass: list[str] = []
    for choice in ranked:
        name = known.image_ids[choice.index]
        left = [other for other in names if other not in chosen]
        free = [
            other for other in left
            if not any(reference.are_neighbors(other, before, names, apart=apart) for before in in_pass)
        ]  # fmt: skip
        if not free:
            in_pass, free = [], left
        assert name in free
        base = [pixels[before] for before in chosen]
        gains = {other: reference.worth([*base, pixels[other]], wants) - reference.worth(base, wants) for other in free}
        assert choice.score == pytest.approx(gains[name], abs=1e-9)
        assert gains[name] >= max(gains.values()) - 1e-9
        equal = [other for other in free if sorted(pixels[other]) == sorted(pixels[name])]
        assert name == min(equal)
        chosen.append(name)
        in_pass.append(name)


def test_a_class_that_is_covered_counts_less_and_the_next_one_comes() -> None:
    images = evidence([[0, 90, 0], [0, 80, 0], [0, 0, 30]], [[0, 100, 0], [0, 90, 0], [70, 0, 30]])
    ranked = rank_by_shortfall(images, demand([0.0, 0.5, 0.5]), Series(images.image_ids), count=3, apart=0)
    assert [choice.index for choice in ranked] == [0, 2, 1]
    assert ranked[0].score > ranked[1].score > ranked[2].score


def test_the_reason_names_the_classes_that_decide_and_the_errors() -> None:
    images = evidence([[50.0, 1900.4, 0.2]], [[100, 2000, 10]])
    [choice] = rank_by_shortfall(images, demand([0.0, 0.61, 0.3], 30.0), Series(images.image_ids), count=1, apart=0)
    assert choice.reason == (
        "likely holds 1,900 pixels of class_1, which is short of 61 % of its target; 159 of its 2,110 pixels (7.6 %) are"
        " likely wrong"
    )


@given(softmax_maps(), st.integers(1, 6))
def test_a_named_class_has_predicted_pixels_and_the_count_is_respected(maps: Maps, count: int) -> None:
    known = evidence_of(maps, [f"image_{index}" for index in range(len(maps.probs))])
    wanted = demand([0.5] * maps.num_classes)
    ranked = rank_by_shortfall(known, wanted, Series(known.image_ids), count=count, apart=0)
    assert len(ranked) == min(count, len(maps.probs))
    assert len({choice.index for choice in ranked}) == len(ranked)
    for choice in ranked:
        for label, name in enumerate(wanted.class_names):
            if f" of {name}," in choice.reason:
                assert known.predicted[choice.index, label] > 0


def test_without_a_short_class_expected_errors_decide() -> None:
    images = evidence([[7, 0], [2, 3], [9, 0.5]], [[10, 0], [5, 5], [10, 0]])
    plain = rank_by_uncertainty(images, count=9)
    ranked = rank_by_shortfall(images, demand([0.0, 0.0]), Series(images.image_ids), count=9, apart=0)
    assert [choice.index for choice in ranked] == [choice.index for choice in plain] == [1, 0, 2]
    assert [choice.score * LABELED for choice in ranked] == pytest.approx([choice.score for choice in plain])
    assert ranked[0].reason == "5 of its 10 pixels (50.0 %) are likely wrong"


def test_neighbors_of_a_series_come_after_all_others() -> None:
    names = ["a_1", "a_2", "a_3", "a_4", "b_1"]
    images = Evidence(names, np.full((5, 1), 10), np.array([[1.0], [2.0], [3.0], [4.0], [9.0]]))
    orders = {
        apart: [names[choice.index] for choice in rank_by_shortfall(
            images, demand([0.0]), Series(names), count=5, apart=apart
        )]
        for apart in (0, 1, 9)
    }  # fmt: skip
    assert orders[0] == ["a_1", "a_2", "a_3", "a_4", "b_1"]
    assert orders[1] == ["a_1", "a_3", "b_1", "a_2", "a_4"]
    assert orders[9] == ["a_1", "b_1", "a_2", "a_3", "a_4"]


def test_equal_images_come_by_their_ids() -> None:
    images = evidence([[5.1, 0.3]] * 7, [[9, 1]] * 7)
    for ranked in (
        rank_by_uncertainty(images, count=7),
        rank_by_shortfall(images, demand([0.0, 0.0]), Series(images.image_ids), count=7, apart=0),
        rank_by_shortfall(images, demand([0.2, 0.7]), Series(images.image_ids), count=7, apart=0),
    ):
        assert [choice.index for choice in ranked] == list(range(7))


def test_random_images_are_drawn_from_all_and_differ_by_generator() -> None:
    images = evidence([[1.0]] * 30, [[2]] * 30)
    first, second = (rank_at_random(images, count=30, rng=np.random.default_rng(seed)) for seed in (0, 1))
    assert sorted(choice.index for choice in first) == list(range(30))
    assert [choice.index for choice in first] != [choice.index for choice in second]
    assert [choice.score for choice in first] == sorted((choice.score for choice in first), reverse=True)
