"""What temperature, vector and matrix scaling share: new scores from log-probabilities, fitted by cross entropy.

All three are linear in their parameters, so the mean cross entropy is convex in them: every way to a minimum finds the same
calibrated probabilities. The way here is short where pixels are many: first a sample, then all pixels from the sample's minimum
on, both in units in which each group of parameters curves the loss alike. L-BFGS then needs some ten passes over all pixels.

Reference: Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, section 4.2; the derivatives are
those of multinomial logistic regression: Bishop, Pattern Recognition and Machine Learning, 2006, section 4.3.4.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration.pixels import BLOCK, CHUNK, FittingPixels, blocks, log_probs

Array = NDArray[np.float64]

SLOPE = 1e-6
"""Where the fit ends: largest slope left, in units of unit curvature. The loss is then within 1e-9 nats of its minimum."""
FEWEST = 1024
"""Pixels of a class that the sample keeps at least, where there are so many: of a rare class, all."""
EVERY = 64
"""The sample keeps at least one of so many pixels of a class."""


@dataclass(frozen=True)
class Scores:
    """Scores that are linear in G groups of F parameters.

    Attributes:
        start: (G, F) parameters that change nothing.
        values: of (C, P) log-probabilities and (G, F) parameters, (C, P) scores.
        gradient: of (C, P) log-probabilities and (C, P) derivatives of the loss by the scores, (G, F) by the parameters.
        curvature: of (C, P) log-probabilities, (C, P) probabilities and (P,) weights of pixels, (G, F, F) second derivatives of
            the cross entropy, of pairs of parameters within a group.
    """

    start: Array
    values: Callable[[Array, Array], Array]
    gradient: Callable[[Array, Array], Array]
    curvature: Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class Weighted:
    """Pixels that stand for more than themselves.

    Attributes:
        pixels: to sum over.
        weights: (C,) of each pixel, by its class; those of all pixels sum to 1.
    """

    pixels: FittingPixels
    weights: Array


def fit_scores(pixels: FittingPixels, scores: Scores) -> Array:
    """Minimize the mean cross entropy of softmax(scores), which never ends higher than it starts.

    Where classes are told apart without an error there is no minimum short of infinity: the fit ends where the loss is as close
    to 0 as it else is to its minimum.

    Args:
        pixels: to fit on; read in blocks, so float64 copies stay small.
        scores: to fit, from `scores.start` on.

    Returns:
        (G, F) parameters.
    """
    every = Weighted(pixels, np.full(pixels.num_classes, 1 / len(pixels.labels)))
    few = sample_classes(pixels)
    # The sample's minimum lies about this far from that of all pixels: the error of fitting so many parameters to so few pixels.
    nearby = math.sqrt(scores.start.size / len(few.pixels.labels))
    found, _ = _descend(few, scores, scores.start, few=few, first_step=1.0)
    found, least = _descend(every, scores, found, few=few, first_step=nearby)
    return found if least <= loss(every, scores, scores.start)[0] else scores.start


def sample_classes(pixels: FittingPixels) -> Weighted:
    """Take every n-th pixel of each class in their order, by weights that make up for it; n is 1 for rare classes."""
    counts = [int(np.count_nonzero(pixels.labels == label)) for label in range(pixels.num_classes)]
    steps = [min(max(count // FEWEST, 1), EVERY) for count in counts]
    seen, parts = [0] * len(counts), []
    for start in range(0, len(pixels.labels), CHUNK):
        chunk = pixels.labels[start : start + CHUNK]
        for label, step in enumerate(steps):
            own = start + np.flatnonzero(chunk == label)
            # A copy: a view would keep the places of all pixels, 8 bytes each.
            parts.append(own[-seen[label] % step :: step].copy())
            seen[label] += len(own)
    places = np.sort(np.concatenate(parts))
    taken = [-(-count // step) for count, step in zip(counts, steps, strict=True)]
    weights = np.array(counts) / np.maximum(taken, 1) / len(pixels.labels)
    return Weighted(FittingPixels(pixels.probs[places], pixels.labels[places]), weights)


def loss(weighted: Weighted, scores: Scores, parameters: Array) -> tuple[float, Array]:
    """Return the mean cross entropy in nats and its (G, F) gradient."""
    total, slope = 0.0, np.zeros_like(parameters)
    for inputs, labels in blocks(weighted.pixels):
        own, weights = (labels, np.arange(len(labels))), weighted.weights[labels]
        probs = scores.values(inputs, parameters)
        own_scores = probs[own]
        total += float((softmax_in_place(probs) - own_scores) @ weights)
        probs[own] -= 1.0
        probs *= weights
        slope += scores.gradient(inputs, probs)
    return total, slope


def curvature(weighted: Weighted, scores: Scores, parameters: Array) -> Array:
    """Return the (G, F, F) second derivatives of the mean cross entropy, of pairs of parameters within a group."""
    total = np.zeros((*parameters.shape, parameters.shape[1]))
    for inputs, labels in blocks(weighted.pixels):
        probs = scores.values(inputs, parameters)
        softmax_in_place(probs)
        total += scores.curvature(inputs, probs, weighted.weights[labels])
    return total


def _descend(weighted: Weighted, scores: Scores, start: Array, *, few: Weighted, first_step: float) -> tuple[Array, float]:
    """Minimize the mean cross entropy by L-BFGS.

    Args:
        weighted: pixels of the mean.
        scores: to fit.
        start: (G, F) parameters.
        few: pixels of the curvature.
        first_step: its length, in units of unit curvature; L-BFGS finds out the lengths of the others.

    Returns:
        (G, F) parameters and their mean cross entropy.
    """
    from scipy.optimize import minimize  # who reads a calibrator fits none

    sizes, axes = np.linalg.eigh(curvature(few, scores, start))
    # Nothing predicts an absent class in the end, so the loss is flat in its parameters and a step along them has no bound.
    sizes = np.maximum(sizes, max(1e-10 * float(sizes.max()), 1e-20))
    # scipy's first step has length 1.
    units = first_step * axes / np.sqrt(sizes)[:, None, :]

    def parameters(steps: Array) -> Array:
        moved: Array = start + np.einsum("gij,gj->gi", units, steps.reshape(start.shape))
        return moved

    def objective(steps: Array) -> tuple[float, Array]:
        value, slope = loss(weighted, scores, parameters(steps))
        return value, np.einsum("gij,gi->gj", units, slope).ravel()

    options = {"maxiter": 500, "maxfun": 1000, "ftol": 0.0, "gtol": SLOPE * first_step}
    found = minimize(objective, np.zeros(start.size), jac=True, method="L-BFGS-B", options=options)
    return parameters(found.x), float(found.fun)


def softmax_in_place(scores: Array) -> Array:
    """Turn (C, P) scores into their softmax; return the (P,) logarithms of the sums of their exponentials."""
    highest = scores.max(axis=0)
    scores -= highest
    np.exp(scores, out=scores)
    sums = scores.sum(axis=0)
    scores /= sums
    logarithms: Array = np.log(sums) + highest
    return logarithms


def apply_scores(probs: NDArray[np.floating], values: Callable[[Array], Array]) -> NDArray[np.float32]:
    """Return the softmax of new scores.

    Args:
        probs: (C, ...) probabilities.
        values: of (C, P) log-probabilities, (C, P) scores.

    Returns:
        (C, ...) float32; each pixel sums to 1.
    """
    flat = probs.reshape(len(probs), -1)
    result = np.empty(flat.shape, np.float32)
    for start in range(0, flat.shape[1], BLOCK):
        block = values(log_probs(flat[:, start : start + BLOCK]))
        softmax_in_place(block)
        result[:, start : start + BLOCK] = block
    return result.reshape(probs.shape)
