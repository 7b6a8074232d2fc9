"""Matrix scaling (Platt scaling of several classes): a weight for each pair of classes and a bias for each class.

Reference: Guo et al., ICML 2017, section 4.2, where it acts on logits; here it acts on log-probabilities.
"""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pipeline.calibration.cross_entropy import Array, Scores, apply_scores, fit_scores
from pipeline.calibration.pixels import FittingPixels
from pipeline.schema import Section


class MatrixScaling(Section):
    """Mixes the scores of all classes; may change predictions."""

    method: Literal["matrix"] = "matrix"
    weights: tuple[tuple[float, ...], ...]
    """(C, C); row = class of the new score."""
    biases: tuple[float, ...]
    """(C,)."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if {len(self.weights), *map(len, self.weights)} != {len(self.biases)}:
            raise ValueError("expected a square matrix of weights and a bias for each class")
        return self

    def calibrate(self, probs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return softmax(W log(probs) + b), (C, ...) float32."""
        weights, biases = np.array(self.weights), np.array(self.biases)[:, None]
        return apply_scores(probs, lambda inputs: weights @ inputs + biases)


def fit_matrix(pixels: FittingPixels) -> MatrixScaling:
    """Fit weights and biases, from those that change nothing on."""
    found = fit_scores(pixels, matrix_scores(pixels.num_classes))
    return MatrixScaling(weights=tuple(map(tuple, found[:, :-1].tolist())), biases=tuple(found[:, -1].tolist()))


def matrix_scores(count: int) -> Scores:
    """Return the scores of `count` classes: a group for each class, its row of weights and its bias."""
    return Scores(
        start=np.eye(count, count + 1),
        values=lambda inputs, parameters: parameters[:, :-1] @ inputs + parameters[:, -1:],
        gradient=_gradient,
        curvature=_curvature,
    )


def _gradient(inputs: Array, slopes: Array) -> Array:
    return np.column_stack([slopes @ inputs.T, slopes.sum(axis=1)])


def _curvature(inputs: Array, probs: Array, weights: Array) -> Array:
    extended = np.concatenate([inputs, np.ones((1, len(weights)))])
    return np.stack([(extended * own) @ extended.T for own in probs * (1 - probs) * weights])
