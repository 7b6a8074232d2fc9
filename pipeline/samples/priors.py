"""Class priors as files: the shares that pseudo labels are aligned with, beside those of the labeled set."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pipeline.files import read_json
from pipeline.samples.class_frequencies import Shares, shares_of
from pipeline.schema import Artifact, Distribution, Share


class ClassPriors(Artifact):
    """`class_priors.json`, every value by class name in the order of the train ids."""

    described_as: ClassVar[str] = "class priors"
    written_by: ClassVar[str] = "prepare"

    origin: str
    """Where the class priors come from: `data.priors`."""
    class_priors: Annotated[Mapping[str, Share], Distribution]
    """What pseudo labels are aligned with; sum to 1."""
    labeled_shares: Annotated[Mapping[str, Share], Distribution]
    """Shares of the labeled pixels, which say what class is rare; the same unless the user wants other priors."""
    labeled_pixels: Mapping[str, Annotated[int, Field(ge=0)]]
    """Pixels of the labeled set, held-out images included."""

    @model_validator(mode="after")
    def _of_the_same_classes(self) -> Self:
        if not list(self.class_priors) == list(self.labeled_shares) == list(self.labeled_pixels):
            raise ValueError("expected class_priors, labeled_shares and labeled_pixels of the same classes")
        return self

    @classmethod
    def build(cls, class_names: Sequence[str], *, target: Shares, labeled: NDArray[np.int64], origin: str) -> Self:
        """Put class names together with the class priors, whose origin is given, and the pixels of the labeled set, both (C,).

        Raises:
            ValueError: no labeled pixel has a class.
        """
        vectors = {"class_priors": target, "labeled_shares": shares_of(labeled), "labeled_pixels": labeled}
        named = {name: dict(zip(class_names, values.tolist(), strict=True)) for name, values in vectors.items()}
        return cls.model_validate({"origin": origin, **named})

    def target(self, class_names: Sequence[str]) -> Shares:
        """Return the class priors, which pseudo labels are aligned with, in the order of `class_names`.

        Raises:
            ValueError: they are of other classes.
        """
        return _in_order(self.class_priors, class_names)

    def labeled(self, class_names: Sequence[str]) -> Shares:
        """Return the shares of the labeled pixels, likewise."""
        return _in_order(self.labeled_shares, class_names)


def shrink(priors: Shares, predicted: NDArray[np.int64], part: float) -> Shares:
    """Mix class priors with the shares that a teacher predicts: few labeled images know little of rare classes.

    Args:
        priors: (C,).
        predicted: (C, ...) int64, pixels predicted as each class; at least one in all.
        part: of the predicted shares, in [0, 1]; 0 returns `priors` themselves.

    Returns:
        (C,) float64, sums to 1.
    """
    if part == 0:
        return priors
    counts = predicted.reshape(len(predicted), -1).sum(axis=1)
    shares: Shares = (1.0 - part) * priors + part * counts / counts.sum()
    return shares


def perturb(priors: Shares, noise: float, rng: np.random.Generator) -> Shares:
    """Return wrong priors, (C,): each share times 1 + u, u uniform in [-noise, noise], then all scaled to the sum 1."""
    if noise == 0:
        return priors
    factors = 1.0 + rng.uniform(-noise, noise, len(priors))
    wrong: Shares = priors * factors / (priors * factors).sum()
    return wrong


def read_known_priors(path: Path, class_names: Sequence[str]) -> Shares:
    """Read class priors that a user knows from elsewhere.

    Args:
        path: JSON with a share or a pixel count for every class name, or such a mapping under the key `class_priors`, as the
            `class_priors.json` of another experiment has it.
        class_names: (C,).

    Returns:
        (C,) float64 in the order of `class_names`, sums to 1.

    Raises:
        ValueError: missing, a class is missing, unknown or there twice, or a value is negative, no number, or all are 0.
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
        found = repr(values[wrong[0]])[:80]
        raise ValueError(f"{path} - {wrong[0]} - expected a share or a pixel count - found {found} - correct it")
    # Fractions, because neither 1e308 twice nor a number of 400 digits adds up in floating point.
    exact = [Fraction(values[name]) for name in class_names]
    total = sum(exact)
    if total == 0:
        raise ValueError(f"{path} - expected shares above 0 - found only zeros - correct them")
    shares: Shares = np.array([float(value / total) for value in exact], np.float64)
    return shares


def _in_order(shares: Mapping[str, float], class_names: Sequence[str]) -> Shares:
    if list(shares) != list(class_names):
        raise ValueError(
            f"class priors - expected those of {', '.join(class_names)} - found other classes - run the stage `prepare`"
        )
    return np.array(list(shares.values()), np.float64)
