"""`statistics.json`: the statistics of one round, with a schema that the report reads back."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.divergence import describe_kl
from pipeline.schema import Artifact, Section
from pipeline.selection import Selection
from pipeline.statistics.classes import group_of
from pipeline.statistics.regions import EDGES, RegionCounts

NUM_BINS = 50
"""Of equal width, on [0, 1], in the histograms of confidences."""


class ClassStatistics(Section):
    """One class."""

    name: str
    labeled_share: float
    """Of the labeled pixels, in [0, 1]."""
    frequency: float
    """Share of the labeled images in which it appears."""
    size: float
    """Mean pixels where it appears, over the area of a crop."""
    group: str
    """By frequency and size."""
    predicted: int
    """Unlabeled pixels that the teacher, calibrated, predicts as it."""
    qualifying: int
    """Those at or above the threshold: what `da` labels."""
    pseudo_labeled: int
    """Those that were labeled."""
    target: int
    """Those that were to be labeled."""
    true: int | None
    """Unlabeled pixels that are of the class; None where no true labels are known."""
    precision: float | None
    """Right among the pseudo labels whose true class is known."""
    histogram: tuple[int, ...]
    """(50,) pixels predicted as it, by confidence."""
    at_top: int
    """Pixels predicted as it at the largest confidence of the store, calibrated."""
    tied_float16: int
    """Pixels of the uncalibrated teacher whose confidence is 1 in float16,"""
    tied_float32: int
    """1 in float32,"""
    tied_log_odds: int
    """of infinite log odds."""

    @property
    def coverage(self) -> float | None:
        """Labeled over predicted pixels."""
        return self.pseudo_labeled / self.predicted if self.predicted else None


class RegionStatistics(Section):
    """Pixels by size of the object region that they lie in; (B,) each."""

    edges: tuple[float, ...]
    """(B + 1,) sizes as shares of the image's area."""
    pixels: tuple[int, ...]
    predicted_right: tuple[int, ...]
    pseudo_labeled: tuple[int, ...]
    pseudo_labeled_right: tuple[int, ...]


class Divergences(Section):
    """D_KL(class priors || ...) in nats; `inf` as text, None without a pixel; see `describe_kl`."""

    predicted: float | str | None
    qualifying: float | str | None
    pseudo_labeled: float | str | None


class RoundStatistics(Artifact):
    """One round."""

    described_as = "the statistics of a round"
    written_by = "statistics"

    method: str
    dtype: str
    """Of the confidences."""
    num_pixels: int
    """Of all unlabeled images."""
    realized_ratio: float
    kl: Divergences
    classes: tuple[ClassStatistics, ...]
    regions: RegionStatistics | None
    """None where no true labels are known."""


def confidence_histograms(counts: NDArray[np.int64], values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Turn counts of single values into histograms.

    Args:
        counts: (C, B) pixels predicted as each class at each confidence.
        values: (B,) the confidences.

    Returns:
        (C, 50) int64; bins are closed below, the last on both sides.
    """
    places = np.clip((values.astype(np.float64) * NUM_BINS).astype(np.int64), 0, NUM_BINS - 1)
    histograms = np.zeros((len(counts), NUM_BINS), np.int64)
    np.add.at(histograms.T, places, counts.T)
    return histograms


def describe_round(
    selection: Selection,
    *,
    dtype: str,
    counts: NDArray[np.int64],
    values: NDArray[np.floating],
    ties: NDArray[np.int64],
    labeled_shares: NDArray[np.float64],
    frequencies: Sequence[float],
    sizes: Sequence[float],
    confusion: NDArray[np.int64],
    regions: RegionCounts,
) -> RoundStatistics:
    """Put the statistics of a round together.

    Args:
        selection: of the round.
        dtype: of the confidences.
        counts: (C, B) int64, unlabeled pixels predicted as each class at each confidence.
        values: (B,) the confidences.
        ties: (C, 3) int64, uncalibrated pixels at the largest confidence in float16, float32 and log odds.
        labeled_shares: (C,) of the labeled pixels.
        frequencies: (C,) and
        sizes: (C,) of the classes in labeled images.
        confusion: (C, C + 1) int64 over images whose true labels are known, rows true, columns pseudo-labeled, last none.
        regions: pixels by size of region over the same images.
    """
    known = int(confusion.sum()) > 0
    histograms = confidence_histograms(counts, values)
    right, labeled = np.diagonal(confusion[:, :-1]), confusion[:, :-1].sum(axis=0)
    classes = tuple(
        ClassStatistics(
            name=name,
            labeled_share=float(labeled_shares[label]),
            frequency=frequencies[label],
            size=sizes[label],
            group=group_of(frequencies[label], sizes[label]),
            predicted=selection.predicted_counts[label],
            qualifying=selection.qualifying_counts[label],
            pseudo_labeled=selection.realized_counts[label],
            target=selection.targets[label],
            true=int(confusion[label].sum()) if known else None,
            precision=float(right[label] / labeled[label]) if labeled[label] else None,
            histogram=tuple(histograms[label].tolist()),
            at_top=int(counts[label, -1]),
            tied_float16=int(ties[label, 0]),
            tied_float32=int(ties[label, 1]),
            tied_log_odds=int(ties[label, 2]),
        )
        for label, name in enumerate(selection.class_names)
    )
    priors = np.array(selection.class_priors)
    kinds = {"predicted": selection.predicted_counts, "qualifying": selection.qualifying_counts}
    kinds["pseudo_labeled"] = selection.realized_counts
    return RoundStatistics(
        method=selection.method,
        dtype=dtype,
        num_pixels=selection.num_pixels,
        realized_ratio=selection.coverage,
        kl=Divergences.model_validate({kind: describe_kl(priors, part)["value"] for kind, part in kinds.items()}),
        classes=classes,
        regions=RegionStatistics(edges=EDGES, **{kind: tuple(part.tolist()) for kind, part in vars(regions).items()})
        if known
        else None,
    )
