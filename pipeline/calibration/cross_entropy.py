"""What temperature, vector and matrix scaling share: new scores from log-probabilities, fitted by cross entropy.

Reference: Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from pipeline.calibration.pixels import FittingPixels, calibrate_chunks, chunks, log_probs

Array = NDArray[np.float64]

LIMIT = 1000.0
"""Largest weight and bias; on classes that are told apart without an error, cross entropy has no minimum short of infinity."""


def fit_scores(
    pixels: FittingPixels,
    *,
    start: Array,
    limit: float,
    scores: Callable[[Array, Array], Array],
    gradient: Callable[[Array, Array, Array], Array],
) -> Array:
    """Minimize the mean cross entropy of softmax(scores), from `start` on; never ends higher than it started.

    Args:
        pixels: to fit on; read in chunks, so float64 copies stay small.
        start: (K,) parameters.
        limit: largest absolute value of each.
        scores: of (P, C) log-probabilities and the parameters, (P, C).
        gradient: of (P, C) log-probabilities, (P, C) derivatives by the scores and the parameters, (K,), summed over pixels.

    Returns:
        (K,) parameters.
    """

    def objective(parameters: Array) -> tuple[float, Array]:
        total, slope = 0.0, np.zeros_like(parameters)
        for inputs, labels in chunks(pixels):
            shifted = scores(inputs, parameters)
            shifted -= shifted.max(axis=1, keepdims=True)
            weights = np.exp(shifted)
            sums = weights.sum(axis=1)
            own = np.arange(len(labels)), labels
            total += float(np.log(sums).sum() - shifted[own].sum())
            weights /= sums[:, None]
            weights[own] -= 1.0
            slope += gradient(inputs, weights, parameters)
        return total / len(pixels.labels), slope / len(pixels.labels)

    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=[(-limit, limit)] * len(start),
        options={"maxiter": 500, "maxfun": 1000, "ftol": 1e-12, "gtol": 1e-8},
    )  # fmt: skip
    best: Array = found.x if objective(found.x)[0] <= objective(start)[0] else start
    return best


def apply_scores(probs: NDArray[np.floating], scores: Callable[[Array], Array]) -> NDArray[np.float32]:
    """Return the softmax of new scores.

    Args:
        probs: (C, ...) probabilities.
        scores: of (P, C) log-probabilities, (P, C).

    Returns:
        (C, ...) float32; each pixel sums to 1.
    """

    def calibrate(chunk: NDArray[np.floating]) -> Array:
        new = scores(log_probs(chunk))
        new -= new.max(axis=1, keepdims=True)
        np.exp(new, out=new)
        new /= new.sum(axis=1, keepdims=True)
        return new

    return calibrate_chunks(probs, calibrate)
