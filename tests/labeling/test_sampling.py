import itertools
import math
from collections import Counter
from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2, chisquare, hypergeom

from pipeline.labeling import sampling
from pipeline.labeling.sampling import draw_labels, draw_quotas, hypergeometric
from pipeline.randomness import keyed_generator


def assert_distributed(seen: Counter[Hashable], expected: Mapping[Hashable, float]) -> None:
    """Chi-square at 1e-4, outcomes expected fewer than five times taken together; seeds are fixed, so this never flickers."""
    draws = sum(seen.values())
    assert set(seen) <= {outcome for outcome, share in expected.items() if share > 0}
    frequent = [outcome for outcome, share in expected.items() if share * draws >= 5]
    observed = [seen[outcome] for outcome in frequent]
    theory = [expected[outcome] * draws for outcome in frequent]
    if rest := draws - sum(theory):
        observed.append(draws - sum(observed))
        theory.append(rest)
    if len(observed) > 1 and theory[-1] > 1e-6:
        assert chisquare(observed, theory, sum_check=False).pvalue > 1e-4


def draw(
    classes: list[int], quota: list[int], *, seed: int = 0, round_key: str = "1", image_id: str = "a"
) -> tuple[tuple[int, ...], ...]:
    """The chosen positions of each class."""
    given = np.array(classes, np.uint8)
    drawable = np.bincount(given, minlength=len(quota))
    labels = draw_labels(given, drawable, np.array(quota), seed=seed, round_key=round_key, image_id=image_id)
    assert labels.dtype == np.uint8
    assert ((labels == given) | (labels == 255)).all()
    return tuple(tuple(np.flatnonzero(labels == label).tolist()) for label in range(len(quota)))


class FewBytes:
    """A generator whose bytes take so few values that most candidates tie."""

    def __init__(self, rng: np.random.Generator, values: int) -> None:
        self._rng, self._values = rng, values
        self.permutation = rng.permutation

    def bytes(self, count: int) -> bytes:
        return bytes(byte % self._values for byte in self._rng.bytes(count))


class Counted:
    """A generator that counts the binomial numbers it draws."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self.tries = rng, 0
        self.random, self.hypergeometric = rng.random, rng.hypergeometric

    def binomial(self, count: int, probability: float) -> int:
        self.tries += 1
        return int(self._rng.binomial(count, probability))


@pytest.mark.parametrize("values", [1, 2, 256])
@pytest.mark.parametrize(("classes", "quota"), [([0] * 5, [2]), ([0] * 6, [5]), ([0] * 7, [1]), ([1, 0, 1, 1, 0, 0, 1], [2, 1])])
def test_every_subset_of_an_image_is_as_likely_as_any_other(
    classes: list[int], quota: list[int], values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "keyed_generator", lambda *key: FewBytes(keyed_generator(*key), values))
    positions = [[place for place, label in enumerate(classes) if label == wanted] for wanted in range(len(quota))]
    subsets = list(itertools.product(*(itertools.combinations(own, one) for own, one in zip(positions, quota, strict=True))))
    seen: Counter[Hashable] = Counter(draw(classes, quota, image_id=f"{index}") for index in range(300 * len(subsets)))
    assert_distributed(seen, dict.fromkeys(subsets, 1 / len(subsets)))


@pytest.mark.parametrize("quota", [3, 700, 997])
def test_no_place_of_an_image_is_preferred(quota: int) -> None:
    count, draws = 1000, 300
    seen = np.zeros(2 * count)
    for index in range(draws):
        seen[list(draw([0, 1] * count, [quota, 0], image_id=f"{index}")[0])] += 1
    assert not seen[1::2].any()
    expected = draws * quota / count
    # Without replacement, counts vary less than those of a multinomial draw by this share.
    statistic = ((seen[::2] - expected) ** 2).sum() / expected * (count - 1) / (count - quota)
    assert 1e-4 < chi2.sf(statistic, count - 1) < 1 - 1e-4


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=700), st.data())
def test_exactly_the_quota_of_each_class_is_chosen(classes: list[int], data: st.DataObject) -> None:
    quota = [data.draw(st.integers(0, classes.count(label))) for label in range(5)]
    assert [len(places) for places in draw(classes, quota)] == quota


def test_every_part_of_the_key_matters_and_nothing_else_does() -> None:
    candidates = [0, 1] * 500
    draws = [draw(candidates, [200, 300], **key) for key in ({}, {"seed": 1}, {"round_key": "2"}, {"image_id": "b"})]
    assert len(set(draws)) == len(draws)
    assert draw(candidates, [200, 300]) == draws[0]
    assert draw(candidates, [200, 0])[0] == draws[0][0]


def test_quotas_follow_the_multivariate_hypergeometric_distribution() -> None:
    available, wanted = (3, 1, 0, 4), 4
    expected: dict[Hashable, float] = {
        quota: math.prod(math.comb(q, n) for q, n in zip(available, quota, strict=True)) / math.comb(sum(available), wanted)
        for quota in itertools.product(*(range(q + 1) for q in available))
        if sum(quota) == wanted
    }
    drawable = [np.array([q]) for q in available]
    seen: Counter[Hashable] = Counter(
        tuple(draw_quotas(drawable, [wanted], seed=seed, round_key="1")[:, 0].tolist()) for seed in range(5000)
    )
    assert_distributed(seen, expected)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=8), st.data())
def test_quotas_add_up_exactly_and_fit_every_image(drawable: list[list[int]], data: st.DataObject) -> None:
    table = np.array(drawable)
    draws = [data.draw(st.integers(0, int(total))) for total in table.sum(axis=0)]
    quotas = draw_quotas(list(table), draws, seed=data.draw(st.integers(0, 10)), round_key="1")
    assert quotas.sum(axis=0).tolist() == draws
    assert ((quotas >= 0) & (quotas <= table)).all()


def test_the_quotas_of_a_class_do_not_depend_on_the_other_classes() -> None:
    table = np.array([[40, 30], [50, 0], [60, 70]])
    both = draw_quotas(table, [70, 20], seed=0, round_key="1")
    for others in (np.zeros((3, 1), int), np.full((3, 1), 9)):
        changed = np.hstack([table[:, :1], others])
        assert draw_quotas(changed, [70, 0], seed=0, round_key="1")[:, 0].tolist() == both[:, 0].tolist()


@pytest.mark.parametrize(
    ("good", "bad", "draws"),
    [(8, 20, 9), (8, 20, 1), (20, 8, 9), (20, 8, 20), (8, 20, 27), (8, 20, 28), (6, 6, 6), (1, 30, 15), (30, 1, 15), (3, 9, 10)],
)
def test_the_sampler_for_large_numbers_is_hypergeometric_too(
    monkeypatch: pytest.MonkeyPatch, good: int, bad: int, draws: int
) -> None:
    monkeypatch.setattr(sampling, "_NUMPY_LIMIT", 1)
    rng = keyed_generator(5, "test", good, bad, draws)
    seen: Counter[Hashable] = Counter(hypergeometric(rng, good, bad, draws) for _ in range(4000))
    low, high = max(0, draws - bad), min(good, draws)
    theory = hypergeom(good + bad, good, draws)
    assert_distributed(seen, {number: float(theory.pmf(number)) for number in range(low, high + 1)})


@pytest.mark.parametrize(
    ("good", "bad", "draws"),
    [
        (2_000_000, 5_000_000_000, 1_000_000_000),
        (2_000_000, 5_000_000_000, 4_999_000_000),
        (2_000_000, 5_000_000_000, 3_000),
        (2_000_000, 999_999_999, 500_000_000),
        (2_000_000, 1_000_000_000, 500_000_000),
        (3_000_000_000, 3_000_000_000, 1_000_000_000),
    ],
)
def test_billions_of_pixels_are_drawn_in_few_tries_with_the_right_mean_and_variance(good: int, bad: int, draws: int) -> None:
    rng, count = Counted(keyed_generator(1, "large")), 2000
    drawn = np.array([hypergeometric(cast(np.random.Generator, rng), good, bad, draws) for _ in range(count)], float)
    assert rng.tries < 3 * count
    whole = good + bad
    mean = draws * good / whole
    variance = mean * (bad / whole) * (whole - draws) / (whole - 1)
    assert abs(drawn.mean() - mean) < 5 * math.sqrt(variance / count)
    assert abs(drawn.var() / variance - 1) < 5 * math.sqrt(2 / count) + 1 / (variance * math.sqrt(count))
    assert ((drawn >= max(0, draws - bad)) & (drawn <= min(good, draws))).all()


@pytest.mark.parametrize(
    ("good", "bad", "draws", "expected"),
    [(0, 10**10, 5, 0), (5, 10**10, 0, 0), (10**10, 0, 7, 7), (5, 10**10, 10**10 + 5, 5), (0, 0, 0, 0)],
)
def test_a_draw_without_a_choice_has_one_outcome(good: int, bad: int, draws: int, expected: int) -> None:
    assert hypergeometric(keyed_generator(0), good, bad, draws) == expected


def test_quotas_of_billions_of_pixels_add_up_exactly() -> None:
    table = np.full((60, 1), 200_000_000)
    quotas = draw_quotas(table, [7_000_000_001], seed=0, round_key="1")
    assert int(quotas.sum()) == 7_000_000_001
    deviations = (quotas[:, 0] - 7_000_000_001 / 60) / math.sqrt(2e8 * (7 / 12) * (5 / 12))
    assert np.abs(deviations).max() < 5
    assert 0.6 < deviations.std() < 1.5


def plain_quotas(table: NDArray[np.int64], draws: list[int], *, seed: int, round_key: str) -> NDArray[np.int64]:
    """Deal out every class image by image, those without a pixel of it included."""
    quotas = np.zeros_like(table)
    for label, wanted in enumerate(draws):
        rng = keyed_generator(seed, "quota", round_key, label)
        left, missing = int(table[:, label].sum()), wanted
        for image in range(len(table)):
            left -= int(table[image, label])
            quotas[image, label] = hypergeometric(rng, int(table[image, label]), left, missing)
            missing -= int(quotas[image, label])
    return quotas


@pytest.mark.parametrize("pixels", [2_000, 60_000_000])
def test_leaving_out_the_images_that_lack_a_class_changes_no_quota(pixels: int) -> None:
    rng = np.random.default_rng(0)
    table = (rng.dirichlet(np.full(6, 0.2), 300) * pixels).astype(np.int64)
    table[:, 4], table[7:, 5] = 0, 0
    assert (table == 0).mean() > 0.2
    assert pixels == 2_000 or int(table[:, 0].sum()) > sampling._NUMPY_LIMIT
    for share in (0.0, 0.3, 1.0):
        draws = [int(share * total) for total in table.sum(axis=0).tolist()]
        expected = plain_quotas(table, draws, seed=1, round_key="2")
        assert np.array_equal(draw_quotas(table, draws, seed=1, round_key="2"), expected)


@pytest.mark.parametrize(
    ("good", "bad", "draws"),
    [
        (2_097_152, 10**9, 300_000_000),
        (2_097_152, 2 * 10**12, 4 * 10**11),
        (2_097_152, 2 * 10**12, 2 * 10**12 - 7),
        (50, 3 * 10**12, 10**12),
        (10**6, 2 * 10**12, 5),
        (10**9, 10**9, 10**6),
    ],
)
def test_numbers_are_accepted_as_exact_rational_arithmetic_has_it(good: int, bad: int, draws: int) -> None:
    whole = good + bad
    mean = draws * good // whole
    spread = math.isqrt(mean * (whole - draws) // whole) + 1
    places = sorted({number for steps in range(-5, 6) if 0 <= (number := mean + steps * spread) <= min(good, draws)})
    given = [sampling._log_acceptance(bad, whole, draws, draws - number) for number in places]
    assert max(given) <= 0
    for (low, at_low), (high, at_high) in itertools.pairwise(zip(places, given, strict=True)):
        # P(number + 1) / P(number) of the distribution that is wanted, and of the binomial one that numbers are drawn from.
        numbers = range(low, high)
        wanted = [((good - n) * (draws - n), (n + 1) * (bad - draws + n + 1)) for n in numbers]
        drawn = [((good - n) * draws, (n + 1) * (whole - draws)) for n in numbers]
        expected = Fraction(
            math.prod(above for above, _ in wanted) * math.prod(below for _, below in drawn),
            math.prod(below for _, below in wanted) * math.prod(above for above, _ in drawn),
        )
        assert math.exp(at_high - at_low) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_trillion_pixels_are_drawn_from_as_counting_all_sets_has_it(share: float) -> None:
    good, bad = 9, 2 * 10**12
    draws = int(share * bad)
    rng = keyed_generator(2, "trillion")
    seen: Counter[Hashable] = Counter(hypergeometric(rng, good, bad, draws) for _ in range(4000))
    expected: dict[Hashable, float] = {
        number: math.comb(good, number)
        * float(Fraction(math.perm(draws, number) * math.perm(good + bad - draws, good - number), math.perm(good + bad, good)))
        for number in range(good + 1)
    }
    assert_distributed(seen, expected)
