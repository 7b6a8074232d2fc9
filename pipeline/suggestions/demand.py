"""Which classes are short of their target, and how many labeled pixels of them would make up for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.labeling.class_thresholds import allocate
from pipeline.selection import Selection


@dataclass(frozen=True)
class Demand:
    """What alignment lacks, by class.

    Attributes:
        class_names: (C,).
        shortages: (C,) float64 in [0, 1]: the share of its target that the teacher predicts no pixels for, (n_j - m_j) / n_j.
        pixels: (C,) float64: labeled pixels that are wanted, the same share of those that the labeled images hold of the class.
        labeled_pixels: of all labeled images.
    """

    class_names: Sequence[str]
    shortages: NDArray[np.float64]
    pixels: NDArray[np.float64]
    labeled_pixels: int

    @property
    def short(self) -> list[int]:
        """The classes in shortage, the one that is shortest for its target first."""
        return sorted(np.flatnonzero(self.shortages).tolist(), key=lambda label: (-self.shortages[label], label))

    def describe(self) -> str:
        """Say what is short; "" where nothing is."""
        return ", ".join(f"{self.class_names[label]} of {spell_share(self.shortages[label])}" for label in self.short)


def find_demand(selection: Selection, *, labeled_pixels: int) -> Demand:
    """Hold the targets of alignment against what the teacher predicts, whatever the labeling method.

    Args:
        selection: of the round.
        labeled_pixels: of the labeled images, ignored ones included.
    """
    priors = np.array(selection.class_priors, np.float64)
    targets = allocate(round(selection.labeling_ratio * selection.num_pixels), priors)
    missing = np.maximum(targets - np.array(selection.predicted_counts, np.int64), 0)
    shortages = missing / np.maximum(targets, 1)
    return Demand(selection.class_names, shortages, shortages * priors * labeled_pixels, labeled_pixels)


def spell_share(share: float) -> str:
    """Spell a share above 0 as percent: "61 %"."""
    return "under 1 %" if share < 0.01 else f"{100 * share:.0f} %"
