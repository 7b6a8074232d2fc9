"""Counts of one round put together as its statistics."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.divergence import divergence
from pipeline.selection import Selection
from pipeline.statistics.classes import group_of
from pipeline.statistics.judge import PseudoLabelCounts
from pipeline.statistics.regions import EDGES
from pipeline.statistics.round_statistics import (
    HISTOGRAM_BINS,
    ClassStatistics,
    Divergences,
    RegionStatistics,
    RoundStatistics,
)


def confidence_histograms(counts: NDArray[np.int64], values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Turn counts of single values into histograms.

    Args:
        counts: (C, B) pixels predicted as each class at each confidence.
        values: (B,) the confidences.

    Returns:
        (C, 50) int64; bins are closed below, the last on both sides.
    """
    places = np.clip((values.astype(np.float64) * HISTOGRAM_BINS).astype(np.int64), 0, HISTOGRAM_BINS - 1)
    histograms = np.zeros((len(counts), HISTOGRAM_BINS), np.int64)
    np.add.at(histograms.T, places, counts.T)
    return histograms


def describe_round(
    selection: Selection,
    pseudo_labels: PseudoLabelCounts,
    *,
    dtype: str,
    counts: NDArray[np.int64],
    values: NDArray[np.floating],
    ties: NDArray[np.int64],
    labeled_shares: NDArray[np.float64],
    frequencies: Sequence[float],
    sizes: Sequence[float],
) -> RoundStatistics:
    """Put the statistics of a round together.

    Args:
        selection: of the round.
        pseudo_labels: of all unlabeled images.
        dtype: of the confidences.
        counts: (C, B) int64, unlabeled pixels predicted as each class at each confidence.
        values: (B,) the confidences.
        ties: (C, 3) int64, uncalibrated pixels at the largest confidence in float16, float32 and log odds.
        labeled_shares: (C,) of the labeled pixels.
        frequencies: (C,) shares of the labeled images in which each class appears.
        sizes: (C,) mean pixels of each class where it appears, over the area of a crop.
    """
    confusion, labeled, priors = pseudo_labels.confusion, pseudo_labels.labeled, selection.class_priors
    # Of the pixels whose true class is known: those pseudo-labeled as each class, of each class, and both.
    judged, true, right = confusion[:, :-1].sum(axis=0), confusion.sum(axis=1), np.diagonal(confusion)
    known, histograms = bool(confusion.any()), confidence_histograms(counts, values)
    classes = tuple(
        ClassStatistics(
            name=name,
            labeled_share=float(labeled_shares[label]),
            frequency=frequencies[label],
            size=sizes[label],
            group=group_of(frequencies[label], sizes[label]),
            predicted=selection.predicted_counts[label],
            qualifying=selection.qualifying_counts[label],
            pseudo_labeled=int(labeled[label]),
            target=selection.targets[label],
            true=int(true[label]) if known else None,
            precision=_ratio(right[label], judged[label]),
            recall=_ratio(right[label], true[label]),
            histogram=tuple(histograms[label].tolist()),
            at_top=int(counts[label, -1]),
            tied_float16=int(ties[label, 0]),
            tied_float32=int(ties[label, 1]),
            tied_log_odds=int(ties[label, 2]),
        )
        for label, name in enumerate(selection.class_names)
    )
    regions = {kind: tuple(part.tolist()) for kind, part in vars(pseudo_labels.regions).items()}
    return RoundStatistics(
        method=selection.method,
        dtype=dtype,
        num_pixels=selection.num_pixels,
        coverage=int(labeled.sum()) / selection.num_pixels,
        accuracy=_ratio(right.sum(), judged.sum()),
        kl=Divergences(
            predicted=divergence(priors, selection.predicted_counts),
            qualifying=divergence(priors, selection.qualifying_counts),
            targets=divergence(priors, selection.targets),
            pseudo_labeled=divergence(priors, labeled),
        ),
        kl_true=divergence(true, judged),
        classes=classes,
        regions=RegionStatistics(edges=EDGES, **regions) if known else None,
    )


def _ratio(part: np.int64, whole: np.int64) -> float | None:
    return int(part) / int(whole) if whole else None
