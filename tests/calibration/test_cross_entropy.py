"""The fit of scores: derivatives against finite differences, minima against closed forms and against torch's solver."""

import tracemalloc

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from pipeline.calibration import temperature
from pipeline.calibration.cross_entropy import EVERY, FEWEST, Array, Scores, Weighted, curvature, fit_scores, loss, sample_classes
from pipeline.calibration.matrix import matrix_scores
from pipeline.calibration.pixels import BLOCK, PROBABILITY_FLOOR, FittingPixels, log_probs
from pipeline.calibration.vector import vector_scores

METHODS = ("temperature", "vector", "matrix")
LOSS_TOLERANCE = 1e-9
"""Nats between the mean cross entropy that a fit ends with and its minimum: what docs/differences.md states."""
PROBABILITY_TOLERANCE = 1e-4
"""Between the calibrated probabilities of the two."""


def scores_of(method: str, count: int) -> Scores:
    return {"temperature": temperature.SCORES, "vector": vector_scores(count), "matrix": matrix_scores(count)}[method]


def drawn(count: int, classes: int, *, seed: int = 0, dtype: str = "float16") -> FittingPixels:
    """Return pixels of classes that are confused, each rarer than the one before; no calibrator explains all labels."""
    rng = np.random.default_rng(seed)
    shares = 0.3 ** np.arange(classes)
    true = rng.choice(classes, count, p=shares / shares.sum())
    scores = rng.normal(0, 1.5, (count, classes)) + rng.normal(0, 2, (classes, classes))[true]
    scores[np.arange(count), true] += 8 * rng.beta(2, 1, count)
    mixed = scores @ (np.eye(classes) / 1.4 + rng.normal(0, 0.1, (classes, classes))) + rng.normal(0, 0.5, classes)
    edges = softmax(mixed).cumsum(axis=1)
    labels = (rng.random((count, 1)) > edges).sum(axis=1).clip(max=classes - 1)
    return FittingPixels(softmax(scores).astype(dtype), labels.astype(np.uint8))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return result


def evenly(pixels: FittingPixels) -> Weighted:
    return Weighted(pixels, np.full(pixels.num_classes, 1 / len(pixels.labels)))


def nearby(scores: Scores, seed: int) -> Array:
    """Parameters near the start, where no derivative is zero."""
    parameters: Array = scores.start + np.random.default_rng(seed).normal(0, 0.2, scores.start.shape)
    return parameters


def differences(parameters: Array, group: int, place: int) -> tuple[Array, Array]:
    step = np.zeros_like(parameters)
    step[group, place] = 1e-5
    return parameters + step, parameters - step


@pytest.mark.parametrize("method", METHODS)
def test_gradients_and_curvatures_are_those_of_finite_differences(method: str) -> None:
    scores, pixels = scores_of(method, 4), drawn(3000, 4)
    weighted = Weighted(pixels, np.array([0.5, 1.0, 3.0, 8.0]) / len(pixels.labels))
    parameters = nearby(scores, 1)
    _, slope = loss(weighted, scores, parameters)
    curves = curvature(weighted, scores, parameters)
    for group, place in np.ndindex(parameters.shape):
        (high, up), (low, down) = (loss(weighted, scores, one) for one in differences(parameters, group, place))
        assert slope[group, place] == pytest.approx((high - low) / 2e-5, rel=1e-6, abs=1e-8)
        np.testing.assert_allclose(curves[group, place], (up - down)[group] / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_is_convex(method: str) -> None:
    scores, weighted = scores_of(method, 4), evenly(drawn(2000, 4))
    for seed in range(20):
        first, second = nearby(scores, seed), 3 * nearby(scores, seed + 100)
        middle = loss(weighted, scores, (first + second) / 2)[0]
        assert middle <= (loss(weighted, scores, first)[0] + loss(weighted, scores, second)[0]) / 2 + 1e-12


def by_torch(method: str, pixels: FittingPixels) -> tuple[float, NDArray[np.float64]]:
    """Return the least mean cross entropy and its probabilities, (P, C), by torch's derivatives and torch's solver."""
    classes = pixels.num_classes
    inputs = torch.from_numpy(np.log(np.maximum(pixels.probs.astype(np.float64), PROBABILITY_FLOOR)))
    labels = torch.from_numpy(pixels.labels.astype(np.int64))
    size = {"temperature": 1, "vector": classes, "matrix": classes * classes}[method]
    weights = torch.ones(size, dtype=torch.float64) if method != "matrix" else torch.eye(classes, dtype=torch.float64).ravel()
    biases = torch.zeros(classes, dtype=torch.float64)
    free = [weights] if method == "temperature" else [weights, biases]
    for one in free:
        one.requires_grad_()

    def scores() -> torch.Tensor:
        return (inputs @ weights.reshape(classes, classes).T if method == "matrix" else inputs * weights) + biases

    solver = torch.optim.LBFGS(
        free, max_iter=5000, history_size=60, tolerance_grad=1e-10, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        solver.zero_grad()
        value = cross_entropy(scores(), labels)
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    solver.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return float(cross_entropy(scores(), labels)), scores().softmax(dim=1).numpy()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("method", METHODS)
def test_the_minimum_is_that_of_another_solver(method: str, dtype: str) -> None:
    pixels = drawn(20_000, 4, seed=4, dtype=dtype)
    scores = scores_of(method, 4)
    # So that both parts of the fit are tested: the sample is a small part, and has the rarest class whole.
    assert len(sample_classes(pixels).pixels.labels) < len(pixels.labels) / 4
    assert 0 < np.bincount(pixels.labels).min() < FEWEST
    found = fit_scores(pixels, scores)
    least, expected = by_torch(method, pixels)
    assert loss(evenly(pixels), scores, found)[0] == pytest.approx(least, abs=LOSS_TOLERANCE)
    fitted = softmax(scores.values(log_probs(pixels.probs.T), found).T)
    np.testing.assert_allclose(fitted, expected, atol=PROBABILITY_TOLERANCE, rtol=0)


def test_at_the_best_temperature_the_mean_log_probability_is_that_of_the_labels() -> None:
    pixels = drawn(50_000, 5, seed=1)
    inputs = log_probs(pixels.probs.T)
    new = softmax(inputs.T * fit_scores(pixels, temperature.SCORES)[0, 0])
    expected = (new * inputs.T).sum(axis=1).mean()
    assert inputs[pixels.labels, np.arange(len(pixels.labels))].mean() == pytest.approx(expected, abs=1e-6)


def test_a_matrix_on_as_many_kinds_of_pixels_as_classes_gives_the_shares_of_their_labels() -> None:
    kinds = np.array([[0.75, 0.125, 0.125], [0.125, 0.5, 0.375], [0.25, 0.25, 0.5]], np.float16)
    counts = np.array([[500, 300, 200], [10, 60, 30], [1, 1, 6]])
    rows, labels = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices((3, 3)))
    found = fit_scores(FittingPixels(kinds[rows], labels.astype(np.uint8)), matrix_scores(3))
    new = softmax(matrix_scores(3).values(log_probs(kinds.T), found).T)
    np.testing.assert_allclose(new, counts / counts.sum(axis=1, keepdims=True), atol=PROBABILITY_TOLERANCE)


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_to_pixels_that_the_start_already_explains_stays_there(method: str) -> None:
    # Two kinds of pixels with exactly as many labels of each class as their probabilities say.
    pixels = FittingPixels(
        np.array([[0.75, 0.25]] * 4 + [[0.25, 0.75]] * 4, np.float32), np.array([0, 0, 0, 1, 1, 1, 1, 0], np.uint8)
    )
    scores = scores_of(method, 2)
    np.testing.assert_allclose(fit_scores(pixels, scores), scores.start, atol=1e-5)


def test_the_sample_keeps_rare_classes_whole_and_stands_for_all_pixels() -> None:
    counts = [EVERY * FEWEST * 2 + 1, FEWEST * 3 + 2, FEWEST, 7, 0]
    labels = np.repeat(np.arange(5, dtype=np.uint8), counts)
    np.random.default_rng(0).shuffle(labels)
    probs = np.zeros((len(labels), 5), np.float32)
    probs[:, 0] = np.arange(len(labels))  # which pixel it is
    sample = sample_classes(FittingPixels(probs, labels))
    places = sample.pixels.probs[:, 0].astype(int)
    assert (np.diff(places) > 0).all()
    assert np.array_equal(sample.pixels.labels, labels[places])
    for label, step in enumerate([EVERY, 3, 1, 1, 1]):
        assert np.array_equal(places[sample.pixels.labels == label], np.flatnonzero(labels == label)[::step])
    stands_for = np.bincount(sample.pixels.labels, sample.weights[sample.pixels.labels], minlength=5) * len(labels)
    np.testing.assert_allclose(stands_for, counts)


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_takes_little_memory_beside_the_pixels(method: str) -> None:
    pixels = drawn(200_000, 4, seed=2)
    fit_scores(FittingPixels(pixels.probs[:BLOCK], pixels.labels[:BLOCK]), scores_of(method, 4))
    tracemalloc.start()
    fit_scores(pixels, scores_of(method, 4))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20  # in float64 the pixels would take 6 MiB, their places 1.5 MiB


def test_logarithms_of_float16_are_those_of_their_values() -> None:
    values = np.arange(0x3C01, dtype=np.uint16).view(np.float16)  # all from 0 to 1
    expected = np.log(np.maximum(values.astype(np.float64), PROBABILITY_FLOOR))
    np.testing.assert_allclose(log_probs(values), expected, rtol=1e-15)
    np.testing.assert_allclose(log_probs(values.astype(np.float32)), expected, rtol=1e-15)
    assert np.array_equal(log_probs(values[:12].reshape(3, 4).T), log_probs(values[:12]).reshape(3, 4).T)
