"""What fitting a calibrator costs, beside the plain way: all pixels in every pass, float32 pixels in rows, no units.

Processor time of one thread, so that other work on the machine counts little.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from pipeline.calibration.calibrator import FIT
from pipeline.calibration.pixels import CHUNK, PROBABILITY_FLOOR, FittingPixels, LabeledMap, sample_pixels
from tests.benchmarks.measure import Cost, measure
from tests.benchmarks.table import Row

CLASSES = 19
BESIDE = {"temperature": 1_000_000, "vector": 1_000_000, "matrix": 100_000}
"""Pixels at which the plain way ends within a minute."""
LARGE = 10_000_000
SIDES = (512, 1024)


def calibration(folder: Path) -> Iterator[Row]:
    """Fit to pixels of 19 classes, at sizes that the plain way can do and at 10 million."""
    draw(folder, LARGE)
    for method, count in BESIDE.items():
        ours, plain = _cost(fit, folder, method, count), _cost(fit_plainly, folder, method, count)
        yield Row(f"fit {method} scaling", f"{count:,} x {CLASSES}", ours, "L-BFGS over all pixels", plain)
    for method in BESIDE:
        yield Row(f"fit {method} scaling", f"{LARGE:,} x {CLASSES}", _cost(fit, folder, method, LARGE))
    images = 2 * LARGE // (SIDES[0] * SIDES[1])
    yield Row("gather pixels to fit on", f"{LARGE:,} of {images} x 512x1024x{CLASSES}", _cost(gather, folder, images))


def _cost(prepare: Callable[..., Callable[[], object]], *arguments: object) -> Cost:
    return measure(prepare, *arguments, clock=time.process_time)


def draw(folder: Path, count: int) -> None:
    """Write pixels: unequal shares, pairs of classes that are confused, most of them sure; labels that no calibrator explains."""
    rng = np.random.default_rng(0)
    shares = np.exp(-0.45 * np.arange(CLASSES))
    confusion = rng.normal(0, 1.5, (CLASSES, CLASSES))
    np.fill_diagonal(confusion, 0)
    confusion[np.arange(CLASSES), np.arange(3, 3 + 7 * CLASSES, 7) % CLASSES] += 3
    truth, bias = np.eye(CLASSES) / 1.3 + rng.normal(0, 0.02, (CLASSES, CLASSES)), rng.normal(0, 0.3, CLASSES)
    with (folder / "probs").open("wb") as probs_file, (folder / "labels").open("wb") as labels_file:
        for start in range(0, count, CHUNK):
            shape = (min(CHUNK, count - start), CLASSES)
            kinds = rng.choice(CLASSES, shape[0], p=shares / shares.sum())
            scores = confusion[kinds] + rng.normal(0, 1.5, shape)
            scores[np.arange(shape[0]), kinds] += 14 * rng.beta(2, 1, shape[0])
            probs = _softmax(scores).astype(np.float16)
            edges = _softmax(np.log(np.maximum(probs.astype(np.float64), PROBABILITY_FLOOR)) @ truth.T + bias).cumsum(axis=1)
            labels = (rng.random((shape[0], 1)) > edges).sum(axis=1).clip(max=CLASSES - 1)
            probs.tofile(probs_file)
            labels.astype(np.uint8).tofile(labels_file)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return result


def _read(folder: Path, count: int, start: int = 0) -> FittingPixels:
    probs = np.fromfile(folder / "probs", np.float16, count * CLASSES, offset=2 * start * CLASSES)
    return FittingPixels(probs.reshape(count, CLASSES), np.fromfile(folder / "labels", np.uint8, count, offset=start))


def fit(folder: Path, method: str, count: int) -> Callable[[], object]:
    """Fit as the stage `calibrate` does; the pixels are part of the memory."""
    return lambda: FIT[method](_read(folder, count), 15)


def fit_plainly(folder: Path, method: str, count: int) -> Callable[[], object]:
    """Fit by L-BFGS over all pixels, from what changes nothing on."""
    return lambda: _fit_plainly(method, _read(folder, count))


def _fit_plainly(method: str, pixels: FittingPixels) -> None:
    probs, labels = pixels.probs.astype(np.float32), pixels.labels.astype(np.int64)
    identity = {"temperature": np.ones(1), "vector": np.ones(CLASSES), "matrix": np.eye(CLASSES).ravel()}[method]
    biases = np.zeros(0 if method == "temperature" else CLASSES)

    def objective(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, slope = 0.0, np.zeros_like(parameters)
        weights = parameters[: identity.size]
        for start in range(0, len(labels), CHUNK):
            inputs = np.log(np.maximum(probs[start : start + CHUNK], PROBABILITY_FLOOR).astype(np.float64))
            known = labels[start : start + CHUNK]
            scores = inputs @ weights.reshape(CLASSES, CLASSES).T if method == "matrix" else inputs * weights
            slopes = _softmax(scores if method == "temperature" else scores + parameters[identity.size :])
            own = np.arange(len(known)), known
            total -= float(np.log(slopes[own]).sum())
            slopes[own] -= 1.0
            if method == "temperature":
                slope += (inputs * slopes).sum()
            else:
                of_weights = slopes.T @ inputs if method == "matrix" else (inputs * slopes).sum(axis=0)
                slope += np.concatenate([of_weights.ravel(), slopes.sum(axis=0)])
        return total / len(labels), slope / len(labels)

    options = {"maxiter": 500, "maxfun": 1000, "ftol": 1e-12, "gtol": 1e-8}
    minimize(objective, np.concatenate([identity, biases]), jac=True, method="L-BFGS-B", options=options)


def gather(folder: Path, images: int) -> Callable[[], object]:
    """Draw the pixels to fit on from a stream of images, which are in memory one at a time."""
    pixels = SIDES[0] * SIDES[1]

    def maps() -> Iterator[LabeledMap]:
        for index in range(images):
            yield _image(_read(folder, pixels, index * pixels % (LARGE - pixels)))

    return lambda: sample_pixels(maps(), ignore_index=255, most=LARGE, rng=np.random.default_rng(0))


def _image(pixels: FittingPixels) -> LabeledMap:
    return np.ascontiguousarray(pixels.probs.T).reshape(CLASSES, *SIDES), pixels.labels.astype(np.uint8).reshape(SIDES)
