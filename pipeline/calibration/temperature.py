"""Temperature scaling: all scores of all pixels are divided by one number.

Reference: Guo et al., ICML 2017, section 4.2; the paper's baselines ST+TS, CBST+TS and DA+TS (Sec. 3.2, Tables 4 and 5).
"""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.calibration.cross_entropy import Array, Scores, apply_scores, fit_scores
from pipeline.calibration.pixels import FittingPixels
from pipeline.schema import Section

_LARGEST = 100.0


class Temperature(Section):
    """Divides scores by a temperature; never changes a prediction."""

    method: Literal["temperature"] = "temperature"
    temperature: Annotated[float, Field(gt=0.0)]
    """Above 1 makes probabilities less extreme, below 1 more so."""

    def calibrate(self, probs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return softmax(log(probs) / T), (C, ...) float32."""
        return apply_scores(probs, lambda inputs: inputs / self.temperature)


def fit_temperature(pixels: FittingPixels) -> Temperature:
    """Fit the temperature, within 1/100 and 100; a classifier without errors gets one close to 0."""
    found = float(fit_scores(pixels, SCORES)[0, 0])
    # The loss is convex in 1/T, so the best of an interval is the best of all, brought into it.
    return Temperature(temperature=1 / min(max(found, 1 / _LARGEST), _LARGEST))


def _gradient(inputs: Array, slopes: Array) -> Array:
    return np.array([[np.vdot(inputs, slopes)]])


def _curvature(inputs: Array, probs: Array, weights: Array) -> Array:
    # The variance of a pixel's log-probabilities under its new probabilities.
    scaled = probs * inputs
    variances = np.einsum("cp,cp->p", scaled, inputs) - scaled.sum(axis=0) ** 2
    return np.array([[[variances @ weights]]])


SCORES = Scores(
    start=np.ones((1, 1)),
    values=lambda inputs, parameters: inputs * parameters[0, 0],
    gradient=_gradient,
    curvature=_curvature,
)
"""One group of one parameter, 1/T."""
