"""Vector scaling: a weight and a bias for each class.

Reference: Guo et al., ICML 2017, section 4.2, where it acts on logits; here it acts on log-probabilities.
"""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pipeline.calibration.cross_entropy import LIMIT, Array, apply_scores, fit_scores
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
        weights, biases = np.array(self.weights), np.array(self.biases)
        return apply_scores(probs, lambda inputs: inputs * weights + biases)


def fit_vector(pixels: FittingPixels) -> VectorScaling:
    """Fit weights and biases, from those that change nothing on."""
    count = pixels.num_classes

    def gradient(inputs: Array, slopes: Array, _: Array) -> Array:
        return np.concatenate([(inputs * slopes).sum(axis=0), slopes.sum(axis=0)])

    found = fit_scores(
        pixels,
        start=np.concatenate([np.ones(count), np.zeros(count)]),
        limit=LIMIT,
        scores=lambda inputs, parameters: inputs * parameters[:count] + parameters[count:],
        gradient=gradient,
    )
    return VectorScaling(weights=tuple(found[:count].tolist()), biases=tuple(found[count:].tolist()))
