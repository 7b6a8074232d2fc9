"""Matrix scaling (Platt scaling of several classes): a weight for each pair of classes and a bias for each class.

Reference: Guo et al., ICML 2017, section 4.2, where it acts on logits; here it acts on log-probabilities.
"""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pipeline.calibration.cross_entropy import LIMIT, Array, apply_scores, fit_scores
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
        weights, biases = np.array(self.weights), np.array(self.biases)
        return apply_scores(probs, lambda inputs: inputs @ weights.T + biases)


def fit_matrix(pixels: FittingPixels) -> MatrixScaling:
    """Fit weights and biases, from those that change nothing on."""
    count = pixels.num_classes

    def scores(inputs: Array, parameters: Array) -> Array:
        mixed: Array = inputs @ parameters[: count * count].reshape(count, count).T + parameters[count * count :]
        return mixed

    def gradient(inputs: Array, slopes: Array, _: Array) -> Array:
        return np.concatenate([(slopes.T @ inputs).ravel(), slopes.sum(axis=0)])

    found = fit_scores(
        pixels,
        start=np.concatenate([np.eye(count).ravel(), np.zeros(count)]),
        limit=LIMIT,
        scores=scores,
        gradient=gradient,
    )
    rows = found[: count * count].reshape(count, count).tolist()
    return MatrixScaling(weights=tuple(map(tuple, rows)), biases=tuple(found[count * count :].tolist()))
