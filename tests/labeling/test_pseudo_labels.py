import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from pipeline.labeling.pseudo_labels import check_drawable, check_realized, label_image
from pipeline.labeling.solve import METHODS
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.selection import Selection
from pipeline.softmax_store.quantized_map import QuantizedMap
from tests.labeling.cases import add_counts, drawable_of, label_all, label_one, quantized, solve, solved
from tests.softmax_store.cases import entry
from tests.strategies import make_probs


def street_maps(count: int = 5, side: int = 40) -> tuple[list[QuantizedMap], list[str]]:
    rng = np.random.default_rng(7)
    images = [entry(make_probs(rng, (side, side + index), 4, (0, 1, 3))) for index in range(count)]
    return images, [f"street_{index}" for index in range(count)]


def street_selection(images: list[QuantizedMap], method: str = "dars", alpha: float = 0.3, thin: str = "all") -> Selection:
    return solve(method, add_counts(images), np.array([0.4, 0.3, 0.0, 0.3]), alpha, thin=thin)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_labels_are_the_qualifying_pixels_that_sorting_finds_in_the_number_that_it_finds(
    method: str, data: st.DataObject
) -> None:
    maps, selection, expected = data.draw(solved(method))
    labels = label_all(quantized(maps), maps.image_ids, selection)
    realized = [0] * maps.num_classes
    for index, image in enumerate(labels):
        assert image.shape == maps.sizes[index]
        assert image.dtype == np.uint8
        for given_label, (label, confidence) in zip(image.ravel().tolist(), maps.pixels(index), strict=True):
            threshold = expected.thresholds[label]
            qualifies = threshold is not None and confidence >= threshold
            assert given_label in ({label, IGNORE_INDEX} if qualifies else {IGNORE_INDEX})
            if given_label == IGNORE_INDEX:
                certain = expected.certain[label] == expected.qualifying[label]
                above = threshold is not None and confidence > threshold and expected.certain[label] > 0
                assert not (qualifies and (certain or above))
            else:
                realized[label] += 1
    assert realized == expected.realized
    check_realized(selection, np.array(realized), where="here")


@pytest.mark.parametrize("thin", ["all", "ties"])
def test_any_number_of_workers_gives_the_same_bytes(thin: str) -> None:
    images, names = street_maps(9)
    selection = street_selection(images, thin=thin)
    one, two, four = ([image.tobytes() for image in label_all(images, names, selection, workers=n)] for n in (1, 2, 4))
    assert one == two == four


def test_an_image_is_labeled_alike_whatever_came_before_it() -> None:
    images, names = street_maps()
    selection = street_selection(images)
    quota = np.array([20, 30, 0, 10])

    def label(index: int) -> bytes:
        return label_one(images[index], selection, quota, image_id=names[index]).tobytes()

    forward = [label(index) for index in range(5)]
    np.random.default_rng().random(10)
    assert [label(index) for index in reversed(range(5))][::-1] == forward


def test_the_layout_of_the_arrays_in_memory_does_not_matter_and_they_are_left_alone() -> None:
    images, _ = street_maps(1)
    selection, quota = street_selection(images), np.array([50, 50, 0, 50])
    plain = (images[0].prediction, images[0].confidence)
    transposed = (np.asfortranarray(plain[0]), np.asfortranarray(plain[1]))
    padded = (np.pad(plain[0], 4)[4:-4, 4:-4], np.pad(plain[1], 4)[4:-4, 4:-4])
    results = []
    for prediction, confidence in (plain, transposed, padded):
        before = prediction.tobytes(), confidence.tobytes()
        prediction.flags.writeable = confidence.flags.writeable = False
        changed = dataclasses.replace(images[0], prediction=prediction, confidence=confidence)
        labels = label_one(changed, selection, quota)
        results.append(labels.tobytes())
        assert (prediction.tobytes(), confidence.tobytes()) == before
    assert len(set(results)) == 1


def test_another_seed_draws_other_pixels_in_the_same_number() -> None:
    images, names = street_maps()
    selection = street_selection(images)
    first, second = (label_all(images, names, selection, seed=seed) for seed in (0, 1))
    assert any((a != b).any() for a, b in zip(first, second, strict=True))
    assert [sum(int((image == j).sum()) for image in second) for j in range(4)] == list(selection.realized_counts)


def test_the_pixels_of_all_images_together_are_drawn_uniformly() -> None:
    sizes = ((1, 2), (1, 3))
    probs = [np.stack([np.full(size, 0.75), np.full(size, 0.25)]).astype(np.float32) for size in sizes]
    images = [entry(image) for image in probs]
    selection = solve("dars", add_counts(images), np.array([1.0, 0.0]), 0.4)
    assert selection.draws == (2, 0)
    seen: Counter[tuple[int, ...]] = Counter()
    for seed in range(2000):
        row = np.concatenate([image.ravel() for image in label_all(images, ["a", "b"], selection, seed=seed)])
        seen[tuple(np.flatnonzero(row == 0).tolist())] += 1
    subsets = list(itertools.combinations(range(5), 2))
    assert chisquare([seen[subset] for subset in subsets]).pvalue > 1e-4
    assert sum(seen[subset] for subset in subsets) == 2000


def test_ties_keeps_what_lies_above_the_threshold_and_draws_only_at_it() -> None:
    images, names = street_maps()
    selection = street_selection(images, thin="ties")
    for image, labels in zip(images, label_all(images, names, selection), strict=True):
        thresholds = np.array([2.0 if t is None else t for t in selection.class_thresholds])[image.prediction]
        confidence = image.confidence.astype(float)
        assert (labels[confidence > thresholds] != IGNORE_INDEX).all()
        assert (labels[confidence < thresholds] == IGNORE_INDEX).all()


@pytest.mark.parametrize("thin", ["all", "ties"])
def test_the_draw_holds_as_many_pixels_as_were_counted(thin: str) -> None:
    images, _ = street_maps()
    selection = street_selection(images, thin=thin)
    for image in images:
        confidence = image.confidence.astype(float)
        for label, drawable in enumerate(drawable_of(image, selection).tolist()):
            low, high = selection.class_thresholds[label], selection.keep_thresholds[label]
            own = confidence[image.prediction == label]
            assert drawable == (0 if low is None else int(((own >= low) & (own < (2 if high is None else high))).sum()))


def test_labels_that_differ_from_the_selection_are_one_line() -> None:
    images, _ = street_maps()
    selection = street_selection(images).model_copy(update={"realized_counts": (1, 2, 3, 4)})
    check_realized(selection, np.array([1, 2, 3, 4]), where="store")
    with pytest.raises(
        ValueError, match=r"^store - expected .* pixels by class - labeled .* - run the stages `infer` and"
    ) as error:
        check_realized(selection, np.array([1, 2, 3, 5]), where="store")
    assert "\n" not in str(error.value)


def test_the_selection_of_another_store_is_one_line() -> None:
    images, _ = street_maps()
    selection = street_selection(images)
    counted = np.array(selection.drawable_counts)
    check_drawable(selection, counted, where="store")
    for drawable in (counted - np.array([0, 1, 0, 0]), counted + np.array([0, 1, 0, 0]), counted[:3]):
        with pytest.raises(
            ValueError, match=r"^store - expected .* to draw among - found .* - run the stage `solve_thresholds`"
        ) as error:
            check_drawable(selection, drawable, where="store")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(("method", "thin"), [("dars", "all"), ("dars", "ties"), ("da", "all")])
def test_a_selection_counts_its_draw_as_the_store_does_and_a_changed_threshold_is_found(method: str, thin: str) -> None:
    images, _ = street_maps()
    selection = street_selection(images, method, thin=thin)
    counted = sum(drawable_of(image, selection) for image in images)
    check_drawable(selection, np.asarray(counted), where="store")
    first = selection.class_thresholds[0]
    assert first is not None
    lowered = selection.model_copy(update={"class_thresholds": (first - 0.01, *selection.class_thresholds[1:])})
    counted = sum(drawable_of(image, lowered) for image in images)
    with pytest.raises(ValueError, match="to draw among"):
        check_drawable(lowered, np.asarray(counted), where="store")


def test_an_image_whose_counts_are_those_of_another_is_one_line() -> None:
    images, _ = street_maps(2)
    selection = street_selection(images)
    drawable = drawable_of(images[1], selection)
    with pytest.raises(
        ValueError,
        match=r"^a - expected .* pixels by class to draw among - found .* - run the stages `infer` and",
    ) as error:
        label_image(
            images[0].prediction, images[0].confidence, selection, drawable, drawable, seed=0, round_key="1", image_id="a"
        )
    assert "\n" not in str(error.value)
