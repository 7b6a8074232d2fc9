"""How often each class occurs: the prior that distribution alignment aims at."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.files import read_json, write_json

ClassCounts = NDArray[np.int64]
"""(C,) pixels of each class."""
Shares = NDArray[np.float64]
"""(C,) sums to 1."""


def count_classes(labels: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """Count the pixels of each class.

    Args:
        labels: any shape, uint8, train ids; values from `num_classes` on (ignored pixels) are not counted.
        num_classes: C.

    Returns:
        (C,) int64.
    """
    return np.bincount(labels.ravel(), minlength=256)[:num_classes].astype(np.int64)


def class_priors(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Turn pixel counts into shares (R(.) of Eq. 3).

    Args:
        counts: (C,) int64.

    Returns:
        (C,) float64, sums to 1.

    Raises:
        ValueError: no pixel has a class.
    """
    total = int(counts.sum())
    if total == 0:
        raise ValueError("labeled set - expected pixels with a class - every pixel is ignored - label some")
    return counts / total


def sum_counts(counts: Iterable[NDArray[np.int64]], num_classes: int) -> NDArray[np.int64]:
    """Add up (C,) counts; zeros for none."""
    return sum(counts, start=np.zeros(num_classes, np.int64))


def write_priors(path: Path, class_names: Sequence[str], counts: NDArray[np.int64]) -> None:
    """Write pixel counts and shares of the labeled set as JSON, by class name.

    Raises:
        ValueError: no pixel has a class.
    """
    shares = class_priors(counts)
    names = list(class_names)
    write_json(
        path,
        {
            "pixels": dict(zip(names, counts.tolist(), strict=True)),
            "class_priors": dict(zip(names, shares.tolist(), strict=True)),
        },
    )


def read_priors(path: Path, class_names: Sequence[str]) -> NDArray[np.float64]:
    """Read the shares that `write_priors` wrote.

    Returns:
        (C,) float64 in the order of `class_names`, sums to 1.

    Raises:
        ValueError: missing, or of other classes.
    """
    tree = read_json(path)
    shares = tree.get("class_priors") if isinstance(tree, dict) else None
    if not isinstance(shares, dict) or list(shares) != list(class_names):
        raise ValueError(f"{path} - expected priors of {', '.join(class_names)} - found other classes - run the stage `prepare`")
    return np.array([shares[name] for name in class_names], np.float64)
