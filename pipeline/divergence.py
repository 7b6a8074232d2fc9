"""Distance between class distributions."""

import math

import numpy as np
from numpy.typing import ArrayLike

EPSILON = 1e-6
"""Share given to an absent class in the finite variant of the divergence."""


def kl_divergence(reference: ArrayLike, other: ArrayLike) -> float:
    """Return D_KL(reference || other) in nats.

    Args:
        reference: (C,) non-negative counts or shares; normalized here.
        other: (C,) likewise.

    Returns:
        0 or more; infinity if a class of `reference` is absent from `other`, NaN if `other` or `reference` is empty.

    Reference: He et al., Eq. 3 and Table 5.
    """
    p, q = np.asarray(reference, np.float64), np.asarray(other, np.float64)
    if p.sum() == 0 or q.sum() == 0:
        return math.nan
    p, q = p / p.sum(), q / q.sum()
    present = p > 0
    if (q[present] == 0).any():
        return math.inf
    return float(max(np.sum(p[present] * np.log(p[present] / q[present])), 0.0))


def describe_kl(reference: ArrayLike, other: ArrayLike) -> dict[str, object]:
    """Return the divergence as it stands in JSON.

    Returns:
        `value`: D_KL(reference || other) in nats, "inf" if a class of `reference` is absent, None without any pixel.
        `smoothed`: the same with `EPSILON` added to every share of `other`, always finite (None without any pixel).
        `epsilon`: the constant.
    """
    value = kl_divergence(reference, other)
    if math.isnan(value):
        return {"value": None, "smoothed": None, "epsilon": EPSILON}
    counts = np.asarray(other, np.float64)
    smoothed = kl_divergence(reference, counts / counts.sum() + EPSILON)
    return {"value": "inf" if math.isinf(value) else value, "smoothed": smoothed, "epsilon": EPSILON}
