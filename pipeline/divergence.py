"""Distance between class distributions."""

import numpy as np
from numpy.typing import ArrayLike

from pipeline.schema import FloatOrInfinite, Section

EPSILON = 1e-6
"""Share given to an absent class in the finite variant of the divergence."""


class Divergence(Section):
    """A Kullback-Leibler divergence in nats."""

    value: FloatOrInfinite | None
    """0 or more; infinite if a class of the reference is absent; None without any pixel."""
    smoothed: float | None
    """The same with `epsilon` added to every share of the other distribution: always finite; None without any pixel."""
    epsilon: float = EPSILON


def divergence(reference: ArrayLike, other: ArrayLike) -> Divergence:
    """Measure D_KL(reference || other).

    Args:
        reference: (C,) non-negative counts or shares; normalized here.
        other: (C,) likewise.

    Raises:
        ValueError: a value is negative or no finite number.

    Reference: He et al., Eq. 3 and Table 5.
    """
    from scipy.special import rel_entr  # trainings import this module and need no scipy

    p, q = np.asarray(reference, np.float64), np.asarray(other, np.float64)
    for values in (p, q):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(
                f"class distribution - expected counts or shares of 0 or more - found {values.tolist()} - correct it"
            )
    if not p.sum() or not q.sum():
        return Divergence(value=None, smoothed=None)
    p, q = p / p.sum(), q / q.sum()
    value, smoothed = (max(float(rel_entr(p, shares).sum()), 0.0) for shares in (q, (q + EPSILON) / (q + EPSILON).sum()))
    return Divergence(value=value, smoothed=smoothed)
