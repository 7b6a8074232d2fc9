from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.softmax_store.quantize import precision_of, quantize, to_float16
from pipeline.softmax_store.reader import SoftmaxStore
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from tests.softmax_store.cases import open_writer, street_probs, write_maps


def softmax_of(seed: int, num_classes: int) -> NDArray[np.float32]:
    logits = np.random.default_rng(seed).normal(0, 4, (num_classes, 6, 5)).astype(np.float32)
    exponentials = np.exp(logits - logits.max(axis=0))
    return np.asarray(exponentials / exponentials.sum(axis=0), np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 19), st.floats(0.0, 0.999))
def test_a_floor_below_one_over_c_leaves_arg_max_and_confidence_unchanged(seed: int, classes: int, share: float) -> None:
    probs = softmax_of(seed, classes)
    plain, floored = quantize(probs, floor=0.0), quantize(probs, floor=share / classes)
    np.testing.assert_array_equal(floored.prediction, plain.prediction)
    np.testing.assert_array_equal(floored.confidence, plain.confidence)
    np.testing.assert_array_equal(floored.counts, plain.counts)
    kept = plain.softmax >= np.float16(share / classes)
    np.testing.assert_array_equal(floored.softmax, np.where(kept, plain.softmax, 0))


@pytest.mark.parametrize("floor", [0.06, 0.1, 0.49])
def test_a_floor_above_one_over_c_is_refused_or_changes_no_confidence_either(tmp_path: Path, floor: float) -> None:
    probs = np.full((19, 1, 1), 0.95 / 18, np.float32)
    probs[7] = 0.053
    try:
        writer = open_wide_writer(tmp_path, floor)
    except ValueError:
        return
    write_maps(writer, 0, [probs])
    store = SoftmaxStore(writer.path)
    assert store.prediction(0).item() == 7
    assert store.confidence(0).item() == np.float16(0.053)


def open_wide_writer(folder: Path, floor: float) -> SoftmaxStoreWriter:
    return SoftmaxStoreWriter(
        folder,
        image_ids=["a"],
        sizes=[(1, 1)],
        class_names=[f"class_{index}" for index in range(19)],
        floor=floor,
        shard_mib=1.0,
        attributes={},
    )


def test_prediction_and_confidence_are_those_of_the_stored_values_and_the_lowest_class_wins_a_tie() -> None:
    probs = np.array([0.1, 0.44999, 0.45001], np.float32).reshape(3, 1, 1)
    entry = quantize(probs, floor=0.0)
    assert entry.prediction.item() == 1
    assert entry.confidence.item() == np.float16(0.45)
    column = precision_of("float16", 3).values.searchsorted(np.float16(0.45))
    assert entry.counts[1, column] == entry.counts.sum() == 1


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_every_value_that_the_larger_of_two_probabilities_can_have_is_counted_in_its_column(dtype: str) -> None:
    values = precision_of(dtype, 2).values.astype(np.float32)
    entry = quantize(np.stack([values, 1 - values])[:, None], floor=0.0, dtype=dtype)
    larger = values > 0.5
    assert (entry.counts[0, larger] == 1).all()
    assert entry.counts[0, ~larger].sum() + entry.counts[1].sum() == (~larger).sum()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("whole", [0.9, 0.5, 0.0])
def test_probabilities_that_lack_much_to_1_are_refused(dtype: str, whole: float) -> None:
    probs = np.full((4, 2, 2), 0.25, np.float32)
    probs[:, 1, 1] *= whole
    with pytest.raises(ValueError, match=r"expected probabilities that sum to 1 - found a pixel whose largest is 0") as error:
        quantize(probs, floor=0.0, dtype=dtype)
    assert "\n" not in str(error.value)


def test_the_given_probabilities_are_left_alone() -> None:
    probs = softmax_of(0, 4)
    before = probs.tobytes()
    probs.flags.writeable = False
    quantize(probs, floor=0.2)
    assert probs.tobytes() == before


@pytest.mark.parametrize("floor", [0.0, 1e-3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5, 1.01, 1e6, 3e38, -0.5, -1e-3, -3.0])
def test_a_value_that_is_no_probability_is_refused_on_writing(tmp_path: Path, value: float, floor: float) -> None:
    writer = open_writer(tmp_path, floor=floor)
    probs = street_probs()[:2]
    probs[0][1, 2, 3] = value
    with pytest.raises(ValueError, match="expected finite probabilities") as error:
        write_maps(writer, 0, probs)
    assert "\n" not in str(error.value)
    assert writer.done == set()
    assert (tmp_path / "done-0.txt").read_text() == ""


@pytest.mark.parametrize("shape", [(3, 7, 5), (2, 5, 7), (4, 5, 7), (3, 5, 8), (3, 5), (1, 3, 5, 7)])
def test_a_map_of_another_shape_is_refused_on_writing(tmp_path: Path, shape: tuple[int, ...]) -> None:
    writer = open_writer(tmp_path)
    with pytest.raises(ValueError, match=r"expected shape \(3, 5, 7\) - found") as error:
        write_maps(writer, 0, [np.full(shape, 0.25, np.float32), street_probs()[1]])
    assert "\n" not in str(error.value)
    assert writer.done == set()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_shard_of_another_number_of_images_is_refused_on_writing(tmp_path: Path, count: int) -> None:
    writer = open_writer(tmp_path)
    with pytest.raises(ValueError, match=r"\w"):
        write_maps(writer, 0, street_probs()[:count])
    assert writer.done == set()


def test_ties_are_counted_on_every_scale() -> None:
    largest_below_one = float(np.nextafter(np.float32(1), np.float32(0)))
    pixels = [
        (0.6, 0.4, 0.0),  # no tie
        (0.9999, 1e-4, 0.0),  # tied in float16 alone
        (largest_below_one, 6e-8, 0.0),
        (1.0, 1e-9, 0.0),  # tied in float32, but of finite odds
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 1e-30),
    ]
    probs = np.array(pixels, np.float32).T.reshape(3, 2, 3)
    for dtype in ("float16", "float32"):
        assert quantize(probs, floor=0.0, dtype=dtype).ties.tolist() == [[4, 2, 1], [1, 1, 0], [0, 0, 0]]


def test_rounding_is_that_of_numpy_for_every_kind_of_value() -> None:
    halves = np.arange(0x3C01, dtype=np.uint16).view(np.float16).astype(np.float64)
    between = (halves[1:] + halves[:-1]) / 2
    others = [2**-25, 2**-26, 1e-38, 1e-45, -0.0, 1.00001]
    values = np.concatenate([halves, between, np.nextafter(between, 0), np.nextafter(between, 1), others])
    random = np.random.default_rng(0).random(9999) ** 9
    probs = np.concatenate([values, random]).astype(np.float32)
    with np.errstate(under="ignore"):
        expected = probs.astype(np.float16)
    np.testing.assert_array_equal(to_float16(probs[None])[0].view(np.uint16), np.abs(expected).view(np.uint16))
