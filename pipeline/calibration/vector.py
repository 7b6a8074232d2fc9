"""Vector scaling: a weight and a bias for each class.

Reference: Guo et al., ICML 2017, section 4.2, where it acts on logits; here it acts on log-probabilities.
"""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pipeline.calibration.cross_entropy import Array, Scores, apply_scores, fit_scores
from pipeline.calibration.pixels import FittingPixels
from pipeline.schema import Section


class VectorScaling(Section):
    """Scales and shifts the score of each class; may change predictions."""

    method: Literal["vector"] = "vector"
    weights: tuple[float, ...]
    """(C,)."""
    biases: tuple[float, ...]
    """(C,)."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.weights) != len(self.biases):
            raise ValueError("expected a weight and a bias for each class")
        return self

    def calibrate(self, probs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return softmax(w * log(probs) + b), (C, ...) float32."""
        weights, biases = np.array(self.weights)[:, None], np.array(self.biases)[:, None]
        return apply_scores(probs, lambda inputs: inputs * weights + biases)


def fit_vector(pixels: FittingPixels) -> VectorScaling:
    """Fit weights and biases, from those that change nothing on."""
    weights, biases = fit_scores(pixels, vector_scores(pixels.num_classes)).T.tolist()
    return VectorScaling(weights=tuple(weights), biases=tuple(biases))


def vector_scores(count: int) -> Scores:
    """Return the scores of `count` classes: a group for each class, its weight and its bias."""
    return Scores(
        start=np.tile([1.0, 0.0], (count, 1)),
        values=lambda inputs, parameters: inputs * parameters[:, :1] + parameters[:, 1:],
        gradient=_gradient,
        curvature=_curvature,
    )


def _gradient(inputs: Array, slopes: Array) -> Array:
    return np.stack([np.einsum("cp,cp->c", inputs, slopes), slopes.sum(axis=1)], axis=1)


def _curvature(inputs: Array, probs: Array, weights: Array) -> Array:
    own = probs * (1 - probs) * weights
    mixed = np.einsum("cp,cp->c", own, inputs)
    squares = np.einsum("cp,cp,cp->c", own, inputs, inputs)
    return np.stack([squares, mixed, mixed, own.sum(axis=1)], axis=1).reshape(-1, 2, 2)
