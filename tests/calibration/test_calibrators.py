"""Every calibrator against closed forms, its own fitting data, and what may break it."""

import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.calibration.calibrator import FIT, Calibrator, CalibratorFile
from pipeline.calibration.histogram_binning import HistogramBinning
from pipeline.calibration.matrix import MatrixScaling
from pipeline.calibration.none import NoCalibration
from pipeline.calibration.pixels import PROBABILITY_FLOOR, FittingPixels, LabeledMap, bin_of, sample_pixels
from pipeline.calibration.temperature import Temperature
from pipeline.calibration.vector import VectorScaling

CLASSES = 5


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return result


def synthetic(temperature: float, *, count: int = 60_000, seed: int = 0) -> FittingPixels:
    """Return pixels whose labels are drawn from softmax(scores / temperature), and whose probabilities are softmax(scores)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2.5, (count, CLASSES))
    edges = softmax(scores / temperature).cumsum(axis=1)
    labels = (rng.random((count, 1)) > edges).sum(axis=1).clip(max=CLASSES - 1)
    return FittingPixels(softmax(scores).astype(np.float32), labels.astype(np.int64))


def nll(probs: NDArray[np.floating], labels: NDArray[np.integer[Any]]) -> float:
    own = probs[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(own, PROBABILITY_FLOOR)).mean())


def calibrated(calibrator: Calibrator, pixels: FittingPixels) -> NDArray[np.float32]:
    return calibrator.calibrate(pixels.probs.T).T


def fit(method: str, pixels: FittingPixels) -> Calibrator:
    return FIT[method](pixels, 15)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.27, 3.0])
def test_a_known_temperature_is_recovered_to_one_percent(temperature: float) -> None:
    found = fit("temperature", synthetic(temperature, count=400_000))
    assert isinstance(found, Temperature)
    assert found.temperature == pytest.approx(temperature, rel=0.01)


@pytest.mark.parametrize("method", FIT)
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_every_calibrator_lowers_the_log_loss_on_what_it_is_fitted_on(method: str, temperature: float) -> None:
    pixels = synthetic(temperature)
    assert nll(calibrated(fit(method, pixels), pixels), pixels.labels) < nll(pixels.probs, pixels.labels) - 1e-3


def test_richer_calibrators_fit_at_least_as_well() -> None:
    pixels = synthetic(2.0)
    losses = [nll(calibrated(fit(method, pixels), pixels), pixels.labels) for method in ("temperature", "vector", "matrix")]
    assert losses[0] >= losses[1] - 1e-7
    assert losses[1] >= losses[2] - 1e-7


@pytest.mark.parametrize("temperature", [0.5, 1.27, 4.0])
def test_a_diagonal_matrix_without_biases_is_a_temperature(temperature: float) -> None:
    pixels = synthetic(1.0, count=500)
    rows = tuple(tuple(float(row == column) / temperature for column in range(CLASSES)) for row in range(CLASSES))
    zeros = (0.0,) * CLASSES
    expected = calibrated(Temperature(temperature=temperature), pixels)
    np.testing.assert_allclose(calibrated(MatrixScaling(weights=rows, biases=zeros), pixels), expected, rtol=1e-5, atol=1e-7)
    vector = VectorScaling(weights=(1 / temperature,) * CLASSES, biases=zeros)
    np.testing.assert_allclose(calibrated(vector, pixels), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(expected, softmax(np.log(pixels.probs.astype(float)) / temperature), rtol=1e-5, atol=1e-7)


def test_a_fitted_matrix_has_no_slope_left() -> None:
    pixels = synthetic(1.6, count=20_000)
    probs = calibrated(fit("matrix", pixels), pixels).astype(np.float64)
    residual = probs - np.eye(CLASSES)[pixels.labels]
    assert np.abs(residual.mean(axis=0)).max() < 1e-4
    assert np.abs(residual.T @ np.log(pixels.probs.astype(float)) / len(residual)).max() < 1e-3


def test_histogram_binning_reproduces_the_accuracy_of_every_bin() -> None:
    pixels = synthetic(2.0)
    found = FIT["histogram_binning"](pixels, 10)
    assert isinstance(found, HistogramBinning)
    for label in range(CLASSES):
        for place in range(10):
            low, high = place / 10, (place + 1) / 10
            column = pixels.probs[:, label].astype(float)
            inside = (column >= low) & ((column < high) | (place == 9))
            expected = float((pixels.labels[inside] == label).mean()) if inside.any() else (low + high) / 2
            assert found.accuracies[label][place] == pytest.approx(expected, abs=1e-12)


def test_bins_are_closed_below_and_the_last_one_on_both_sides() -> None:
    assert bin_of(np.array([0.0, 0.0999, 0.1, 0.5, 0.999, 1.0]), 10).tolist() == [0, 0, 1, 5, 9, 9]


CALIBRATORS = st.one_of(
    st.just(NoCalibration()),
    st.builds(Temperature, temperature=st.floats(0.01, 100)),
    st.builds(VectorScaling, weights=st.tuples(*[st.floats(-1000, 1000)] * 3), biases=st.tuples(*[st.floats(-1000, 1000)] * 3)),
    st.builds(
        MatrixScaling,
        weights=st.tuples(*[st.tuples(*[st.floats(-1000, 1000)] * 3)] * 3),
        biases=st.tuples(*[st.floats(-1000, 1000)] * 3),
    ),
    st.builds(HistogramBinning, accuracies=st.tuples(*[st.tuples(*[st.floats(0, 1)] * 4)] * 3)),
)


@given(CALIBRATORS, st.integers(0, 1000), st.sampled_from(["float16", "float32"]))
def test_calibrated_probabilities_lie_on_the_simplex(calibrator: Calibrator, seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 20, (42, 3))
    probs = softmax(scores).T.reshape(3, 6, 7).astype(dtype)
    probs[:, 0, 0] = (1, 0, 0)
    result = calibrator.calibrate(probs)
    assert result.shape == probs.shape
    assert result.dtype == np.float32
    assert result.min() >= 0
    np.testing.assert_allclose(result.sum(axis=0), 1, atol=2e-3 if isinstance(calibrator, NoCalibration) else 1e-5)


@given(calibrator=CALIBRATORS)
def test_a_calibrator_reads_back_exactly(calibrator: Calibrator, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("calibrator") / "calibrator.json"
    content = CalibratorFile(class_names=("a", "b", "c"), calibrator=calibrator, fitted_on="holdout", fitted_pixels=7)
    content.write(path)
    assert CalibratorFile.read(path) == content


@pytest.mark.parametrize("method", FIT)
def test_a_class_without_pixels_breaks_nothing(method: str) -> None:
    pixels = synthetic(1.5, count=5000)
    absent = FittingPixels(pixels.probs, np.where(pixels.labels == 2, 0, pixels.labels))
    probs = calibrated(fit(method, absent), absent)
    assert np.isfinite(probs).all()
    assert nll(probs, absent.labels) < nll(absent.probs, absent.labels)
    assert method == "temperature" or probs[:, 2].mean() < absent.probs[:, 2].mean()


@pytest.mark.parametrize("method", FIT)
def test_a_perfect_classifier_breaks_nothing(method: str) -> None:
    pixels = synthetic(1.0, count=3000)
    perfect = FittingPixels(pixels.probs, pixels.probs.argmax(axis=1).astype(np.int64))
    probs = calibrated(fit(method, perfect), perfect)
    assert np.isfinite(probs).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)
    assert nll(probs, perfect.labels) <= nll(perfect.probs, perfect.labels)
    certain = FittingPixels(np.eye(CLASSES, dtype=np.float32)[perfect.labels], perfect.labels)
    assert (calibrated(fit(method, certain), certain).argmax(axis=1) == certain.labels).all()


def test_a_single_pixel_is_enough() -> None:
    pixels = FittingPixels(np.array([[0.7, 0.2, 0.1]], np.float32), np.array([1]))
    for method in FIT:
        assert np.isfinite(calibrated(fit(method, pixels), pixels)).all()


def stream(images: int, *, seed: int = 0) -> list[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Images whose first probability tells every pixel apart."""
    rng = np.random.default_rng(seed)
    maps = []
    for index in range(images):
        labels = rng.integers(0, 3, (6, 10)).astype(np.uint8)
        labels[rng.random((6, 10)) < 0.2] = 255
        key = (np.arange(60, dtype=np.float32).reshape(6, 10) + 60 * index) / (60 * images)
        maps.append((np.stack([key, 1 - key, labels.astype(np.float32)]), labels))
    return maps


def test_a_sample_holds_valid_pixels_with_their_own_labels_in_the_order_of_the_stream() -> None:
    maps = stream(20)
    pixels = sample_pixels(maps, ignore_index=255, most=100, rng=np.random.default_rng(0))
    assert pixels.probs.shape == (100, 3)
    assert (pixels.probs[:, 2] == pixels.labels).all()
    assert (np.diff(pixels.probs[:, 0]) > 0).all()


def test_all_pixels_are_taken_where_there_are_fewer() -> None:
    maps = stream(3)
    pixels = sample_pixels(maps, ignore_index=255, most=10_000, rng=np.random.default_rng(0))
    assert len(pixels.labels) == sum(int((labels != 255).sum()) for _, labels in maps)


@pytest.mark.parametrize("most", [1, 70_000, 100_000])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_sample_is_that_of_sorting_the_numbers_of_all_pixels(most: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    maps = [(rng.random((3, 200, 350)).astype(dtype), rng.choice([0, 1, 2, 255], (200, 350)).astype(np.uint8)) for _ in range(8)]
    probs = np.concatenate([values[:, labels != 255].T for values, labels in maps])
    labels = np.concatenate([labels[labels != 255] for _, labels in maps])
    keys = np.random.default_rng(1).random(len(labels)).astype(np.float32)
    expected = np.sort(np.argsort(keys, kind="stable")[:most])
    pixels = sample_pixels(maps, ignore_index=255, most=most, rng=np.random.default_rng(1))
    assert pixels.probs.dtype == dtype
    assert np.array_equal(pixels.probs, probs[expected])
    assert np.array_equal(pixels.labels, labels[expected])


def test_a_sample_takes_its_own_memory_and_little_more() -> None:
    rng = np.random.default_rng(0)
    probs, labels = rng.random((19, 250, 400)).astype(np.float16), rng.integers(0, 19, (250, 400)).astype(np.uint8)
    tracemalloc.start()
    pixels = sample_pixels([(probs, labels)] * 12, ignore_index=255, most=800_000, rng=rng)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    own = pixels.probs.nbytes + pixels.labels.nbytes
    assert own == 800_000 * (2 * 19 + 1)
    assert peak < 1.6 * own


def test_an_image_is_let_go_before_the_next_is_made() -> None:
    def maps() -> Iterator[LabeledMap]:
        for _ in range(3):
            made = [np.full((2, 3, 3), 0.5, np.float32)]
            image = weakref.ref(made[0])
            yield made.pop(), np.zeros((3, 3), np.uint8)
            assert image() is None

    assert len(sample_pixels(maps(), ignore_index=255, most=20, rng=np.random.default_rng(0)).labels) == 20


def test_every_pixel_is_drawn_equally_often() -> None:
    maps = stream(6, seed=3)
    valid = sum(int((labels != 255).sum()) for _, labels in maps)
    hits = np.zeros(360)
    for seed in range(400):
        pixels = sample_pixels(maps, ignore_index=255, most=30, rng=np.random.default_rng(seed))
        hits[np.rint(pixels.probs[:, 0] * 360).astype(int)] += 1
    expected = 400 * 30 / valid
    drawn = hits[np.concatenate([(labels != 255).ravel() for _, labels in maps])]
    assert drawn.sum() == 400 * 30
    assert np.abs(drawn - expected).max() < 5 * np.sqrt(expected)
    by_image = drawn.sum() / 6
    assert by_image > 0


def test_images_without_a_class_are_no_pixels_to_fit_on() -> None:
    empty = (np.ones((2, 3, 3), np.float32) / 2, np.full((3, 3), 255, np.uint8))
    with pytest.raises(ValueError, match="calibration - expected labeled pixels to fit on - found none"):
        sample_pixels([empty], ignore_index=255, most=5, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"class_names": ["a"], "calibrator": {"method": "magic"}}',
        '{"class_names": ["a"], "calibrator": {"method": "temperature", "temperature": 0.0}}',
        '{"class_names": ["a"], "calibrator": {"method": "temperature", "temperature": NaN}}',
        '{"class_names": ["a"], "calibrator": {"method": "vector", "weights": [1.0], "biases": []}}',
        '{"class_names": ["a"], "calibrator": {"method": "matrix", "weights": [[1.0, 2.0]], "biases": [0.0]}}',
        '{"class_names": ["a"], "calibrator": {"method": "histogram_binning", "accuracies": [[2.0]]}}',
    ],
)
def test_a_damaged_file_is_one_line_that_names_the_stage(tmp_path: Path, text: str) -> None:
    (tmp_path / "calibrator.json").write_text(text)
    with pytest.raises(ValueError, match=r"calibrator\.json - .* run the stage `calibrate`") as error:
        CalibratorFile.read(tmp_path / "calibrator.json")
    assert "\n" not in str(error.value)
