"""Temperature scaling: all scores of all pixels are divided by one number.

Reference: Guo et al., ICML 2017, section 4.2; the paper's baselines ST+TS, CBST+TS and DA+TS (Sec. 3.2, Tables 4 and 5).
"""

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.calibration.cross_entropy import Array, apply_scores, fit_scores
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
    """Fit the temperature, within 1/100 and 100; a classifier without errors gets the lowest."""

    def gradient(inputs: Array, slopes: Array, parameters: Array) -> Array:
        # The parameter is log T: steps up and down are alike, and T stays positive.
        return np.array([-(inputs * slopes).sum() * np.exp(-parameters[0])])

    found = fit_scores(
        pixels,
        start=np.zeros(1),
        limit=math.log(_LARGEST),
        scores=lambda inputs, parameters: inputs * np.exp(-parameters[0]),
        gradient=gradient,
    )
    return Temperature(temperature=math.exp(found[0]))
