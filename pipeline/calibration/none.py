"""No calibration: the teacher's probabilities as they are, the paper's own DARS."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import Section


class NoCalibration(Section):
    """Leaves probabilities alone."""

    method: Literal["none"] = "none"

    def calibrate(self, probs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return `probs`, (C, ...), as float32."""
        return probs.astype(np.float32, copy=False)
