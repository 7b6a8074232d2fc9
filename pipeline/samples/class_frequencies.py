"""How often each class occurs: in pixels, and as shares of all of them."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

ClassCounts = NDArray[np.int64]
"""(C,) pixels of each class."""
Shares = NDArray[np.float64]
"""(C,) sums to 1."""


def count_classes(labels: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """Count the pixels of each class, (C,) int64, in train ids of any shape; values from C on (ignored pixels) are left out."""
    flat = labels.ravel()
    # Two pixels at a time take half as long: a 16-bit pattern counts for both of its bytes.
    even = flat[: len(flat) // 2 * 2]
    pairs = np.bincount(even.view(np.uint16), minlength=256 * 256).reshape(256, 256)
    counts: NDArray[np.int64] = pairs.sum(axis=0) + pairs.sum(axis=1)
    if len(flat) % 2:
        counts[flat[-1]] += 1
    return counts[:num_classes]


def shares_of(counts: NDArray[np.int64], *, where: str = "labeled images") -> Shares:
    """Turn (C,) pixel counts into shares (R(.) of Eq. 3); `where` says in an error which images were counted.

    Raises:
        ValueError: no pixel has a class.
    """
    check_pixels(counts, where=where)
    shares: Shares = counts / counts.sum()
    return shares


def check_pixels(counts: NDArray[np.int64], *, where: str) -> None:
    """Refuse label files that say nothing, by their pixels of each class, (C,); `where` as in `shares_of`.

    Raises:
        ValueError: no pixel has a class.
    """
    if not counts.any():
        raise ValueError(
            f"{where} - expected pixels with a class - found only ignored ones - label some, or correct the class list"
        )


def sum_counts(counts: Iterable[NDArray[np.int64]], shape: int | tuple[int, ...]) -> NDArray[np.int64]:
    """Add up counts of one shape, (C,) or more; zeros for none."""
    total = np.zeros(shape, np.int64)
    for part in counts:
        total += part
    return total
