"""Distance between class distributions."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    p, q = np.asarray(reference, np.float64), np.asarray(other, np.float64)
    for values in (p, q):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(
                f"class distribution - expected counts or shares of 0 or more - found {values.tolist()} - correct it"
            )
    if not p.sum() or not q.sum():
        return Divergence(value=None, smoothed=None)
    p, q = p / p.sum(), q / q.sum()
    value, smoothed = (max(float(_terms(p, shares).sum()), 0.0) for shares in (q, (q + EPSILON) / (q + EPSILON).sum()))
    return Divergence(value=value, smoothed=smoothed)


def _terms(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p log(p / q), class by class.

    The values are those of scipy.special.rel_entr, to the bit. Its import would take a quarter of the time of a whole stage.
    """
    return np.array([_term(own, other) for own, other in zip(p.tolist(), q.tolist(), strict=True)])


def _term(p: float, q: float) -> float:
    if not p:
        return 0.0
    if not q:
        return math.inf
    # Near 1 the ratio has lost the digits that its logarithm consists of.
    return p * (math.log1p((p - q) / q) if 0.5 < p / q < 2 else math.log(p / q))
