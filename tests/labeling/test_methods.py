import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.divergence import divergence
from pipeline.labeling.solve import METHODS
from pipeline.params import StoreParams
from pipeline.selection import Selection
from pipeline.softmax_store.reader import SoftmaxStore
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from tests import reference
from tests.labeling.cases import solve, solved
from tests.softmax_store.cases import write_maps
from tests.strategies import NUM_VALUES, Maps, class_priors, labeling_ratios, softmax_maps


def assert_as_expected(selection: Selection, expected: reference.Expected) -> None:
    assert list(selection.class_thresholds) == expected.thresholds
    assert list(selection.targets) == expected.targets
    assert_same_counts(selection, expected)


def assert_same_counts(selection: Selection, expected: reference.Expected) -> None:
    assert list(selection.predicted_counts) == expected.predicted
    assert list(selection.qualifying_counts) == expected.qualifying
    assert list(selection.realized_counts) == expected.realized
    assert list(selection.draws) == [r - c for r, c in zip(expected.realized, expected.certain, strict=True)]
    assert list(selection.shortfalls) == expected.shortfalls
    rates = [r / q if q else 0.0 for r, q in zip(expected.realized, expected.qualifying, strict=True)]
    assert list(selection.sampling_rates) == pytest.approx(rates, rel=1e-12)
    assert selection.num_pixels == sum(expected.predicted)
    assert selection.coverage == pytest.approx(expected.coverage, rel=1e-12)
    assert selection.alpha_max == pytest.approx(expected.alpha_max, rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_method_equals_sorting(method: str, data: st.DataObject) -> None:
    _, selection, expected = data.draw(solved(method))
    assert selection.method == method
    assert_as_expected(selection, expected)


@pytest.mark.parametrize("confidence", [0.5, 0.7998046875, 0.96, 0.9605, 1.0])
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_fixed_threshold_of_st_is_the_next_value_that_can_be_stored(confidence: float, data: st.DataObject) -> None:
    _, selection, expected = data.draw(solved("st", st_confidence=confidence))
    for threshold in selection.class_thresholds:
        assert threshold is not None
        assert threshold >= confidence > float(np.nextafter(np.float16(threshold), np.float16(0)))
    assert list(selection.targets) == expected.targets
    assert_same_counts(selection, expected)


@settings(max_examples=20, deadline=None)
@given(softmax_maps(), labeling_ratios(), st.data())
def test_padding_in_the_store_never_counts(maps: Maps, alpha: float, data: st.DataObject) -> None:
    priors = data.draw(class_priors(maps.num_classes))
    with tempfile.TemporaryDirectory() as folder:
        writer = SoftmaxStoreWriter(
            Path(folder), image_ids=maps.image_ids, sizes=maps.sizes, class_names=maps.class_names,
            params=StoreParams(average="probabilities", dtype="float16", floor=1e-3, keep="all", shard_mib=1e-9), attributes={},
        )  # fmt: skip
        for index, rows in enumerate(writer.shards):
            write_maps(writer, index, [maps.probs[row] for row in rows])
        counts = SoftmaxStore(writer.path).total_counts()
    expected = reference.solve("cbst", maps.by_class(), priors.tolist(), alpha=alpha)
    assert_as_expected(solve("cbst", counts, priors, alpha), expected)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_dars_realizes_its_target_for_every_class_with_enough_pixels(data: st.DataObject) -> None:
    _, selection, _ = data.draw(solved("dars"))
    assert sum(selection.targets) == round(selection.labeling_ratio * selection.num_pixels)
    for target, predicted, realized, short in zip(
        selection.targets, selection.predicted_counts, selection.realized_counts, selection.shortfalls, strict=True
    ):
        assert realized == min(target, predicted)
        assert short == max(target - predicted, 0)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_da_with_equal_pixels_is_dars(data: st.DataObject) -> None:
    maps, selection, _ = data.draw(solved("da", equal_pixels=True))
    counts = np.array([_histogram(values) for values in maps.by_class()])
    dars = solve("dars", counts, np.array(selection.class_priors), selection.labeling_ratio)
    assert dars.draws == selection.draws
    assert dars.class_thresholds == selection.class_thresholds
    assert dars.keep_thresholds == selection.keep_thresholds


def _histogram(values: list[float]) -> list[int]:
    return [int(count) for count in np.bincount(np.array(values, np.float16).view(np.uint16), minlength=NUM_VALUES)]


@pytest.mark.parametrize("method", ["st", "cbst", "da"])
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_equal_pixels_never_labels_more_than_the_targets(method: str, data: st.DataObject) -> None:
    _, selection, _ = data.draw(solved(method, equal_pixels=True))
    assert all(r <= t for r, t in zip(selection.realized_counts, selection.targets, strict=True))
    if method == "st":
        assert sum(selection.realized_counts) == round(selection.labeling_ratio * selection.num_pixels)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_none_labels_nothing(data: st.DataObject) -> None:
    _, selection, _ = data.draw(solved("none"))
    assert set(selection.class_thresholds) == set(selection.keep_thresholds) == {None}
    assert not any(selection.realized_counts)
    assert selection.coverage == 0


@pytest.mark.parametrize("method", ["st", "cbst", "da", "dars"])
def test_one_pixel_at_ratio_one_is_labeled(method: str) -> None:
    counts = np.zeros((3, NUM_VALUES), np.int64)
    counts[1, 0x3800] = 1
    selection = solve(method, counts, np.array([0.0, 1.0, 0.0]), 1.0)
    assert selection.realized_counts == (0, 1, 0)
    assert selection.class_thresholds[1] == 0.5
    assert selection.alpha_max == 1.0


@pytest.mark.parametrize("alpha", [0.2, 0.5])
def test_dars_aligns_the_distribution_at_realistic_sizes(alpha: float) -> None:
    rng = np.random.default_rng(0)
    priors = rng.dirichlet(np.full(19, 0.5)).round(4) + 2e-4
    priors /= priors.sum()
    predicted = rng.multinomial(400_000, 0.4 * priors + 0.6 / 19)
    counts = np.zeros((19, NUM_VALUES), np.int64)
    for row, count in zip(counts, predicted, strict=True):
        np.add.at(row, rng.beta(6, 0.5, count).clip(0.1).astype(np.float16).view(np.uint16), 1)
    selection = solve("dars", counts, priors, alpha * float((predicted / (400_000 * priors)).min()))
    assert not any(selection.shortfalls)
    found, before = divergence(priors, selection.realized_counts).value, divergence(priors, predicted).value
    assert found is not None
    assert before is not None
    assert found < 1e-6
    assert found < before


def test_alpha_max_is_the_largest_ratio_without_a_shortfall() -> None:
    counts = np.zeros((3, NUM_VALUES), np.int64)
    counts[:, 0x3A00] = (600_000, 300_000, 100_000)
    priors = np.array([0.5, 0.25, 0.25])
    at = solve("dars", counts, priors, 0.4)
    assert at.alpha_max == pytest.approx(0.4)
    assert not any(at.shortfalls)
    assert solve("dars", counts, priors, 0.41).shortfalls == (0, 0, 2500)


def test_priors_of_other_classes_are_one_line() -> None:
    with pytest.raises(
        ValueError, match=r"class priors - expected one for each of 3 classes - found 2 for 3 names - run"
    ) as error:
        solve("dars", np.ones((3, NUM_VALUES), np.int64), np.array([0.5, 0.5]), 0.5)
    assert "\n" not in str(error.value)
