"""Class priors as files: the shares that pseudo labels are aligned with, beside those of the labeled set."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.files import read_json, write_json
from pipeline.samples.class_frequencies import Shares, class_priors


def write_priors(path: Path, class_names: Sequence[str], *, labeled: NDArray[np.int64], target: Shares, origin: str) -> None:
    """Write the class shares of the labeled set and those that pseudo labels are aligned with as JSON, by class name.

    Args:
        path: file to write.
        class_names: (C,).
        labeled: (C,) int64, pixels of the labeled set.
        target: (C,) float64, the class priors; those of the labeled set unless the user wants others.
        origin: where `target` comes from; `data.priors`.

    Raises:
        ValueError: no labeled pixel has a class.
    """
    names = list(class_names)
    write_json(
        path,
        {
            "origin": origin,
            "class_priors": dict(zip(names, target.tolist(), strict=True)),
            "labeled_shares": dict(zip(names, class_priors(labeled).tolist(), strict=True)),
            "labeled_pixels": dict(zip(names, labeled.tolist(), strict=True)),
        },
    )


def read_priors(path: Path, class_names: Sequence[str]) -> Shares:
    """Read the class priors that `write_priors` wrote: what pseudo labels are aligned with.

    Returns:
        (C,) float64 in the order of `class_names`, sums to 1.

    Raises:
        ValueError: missing, or of other classes.
    """
    return _read_shares(path, class_names, "class_priors")


def read_labeled_shares(path: Path, class_names: Sequence[str]) -> Shares:
    """Read the class shares of the labeled set that `write_priors` wrote: what says which class is rare.

    Returns:
        (C,) float64 in the order of `class_names`, sums to 1.

    Raises:
        ValueError: missing, or of other classes.
    """
    return _read_shares(path, class_names, "labeled_shares")


def read_known_priors(path: Path, class_names: Sequence[str]) -> Shares:
    """Read class priors that a user knows from elsewhere.

    Args:
        path: JSON with a share or a pixel count for every class name, or such a mapping under the key `class_priors`, as the
            `class_priors.json` of another experiment has it.
        class_names: (C,).

    Returns:
        (C,) float64 in the order of `class_names`, sums to 1.

    Raises:
        ValueError: missing, a class is missing or unknown, or a value is negative, no number, or all are 0.
    """
    tree = read_json(path)
    values = tree.get("class_priors", tree) if isinstance(tree, dict) else None
    if not isinstance(values, dict) or set(values) != set(class_names):
        found = ", ".join(map(str, values)) if isinstance(values, dict) else type(tree).__name__
        raise ValueError(
            f"{path} - expected a share for each of {', '.join(class_names)} - found {found[:200]} - correct the names"
        )
    wrong = [name for name, value in values.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    wrong = wrong or [name for name, value in values.items() if not 0 <= value < math.inf]
    if wrong:
        raise ValueError(f"{path} - {wrong[0]} - expected a share or a pixel count - found {values[wrong[0]]!r} - correct it")
    shares: Shares = np.array([values[name] for name in class_names], np.float64)
    total = float(shares.sum())
    if not total > 0:
        raise ValueError(f"{path} - expected shares above 0 - found only zeros - correct them")
    normalized: Shares = shares / total
    return normalized


def _read_shares(path: Path, class_names: Sequence[str], key: str) -> Shares:
    tree = read_json(path)
    shares = tree.get(key) if isinstance(tree, dict) else None
    if not isinstance(shares, dict) or list(shares) != list(class_names):
        raise ValueError(f"{path} - expected priors of {', '.join(class_names)} - found other classes - run the stage `prepare`")
    return np.array([shares[name] for name in class_names], np.float64)
