"""Bins of equal width on [0, 1]."""

import numpy as np
from numpy.typing import NDArray


def bin_of(values: NDArray[np.floating], bins: int) -> NDArray[np.int64]:
    """Return the bin of each value, 0..bins - 1; bins are closed below, the last one on both sides."""
    return np.clip((values.astype(np.float64) * bins).astype(np.int64), 0, bins - 1)
