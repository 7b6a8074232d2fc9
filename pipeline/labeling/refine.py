"""The second radix pass: inside the one column of each class where its threshold lies, every single value is counted.

The counts of float32 confidences take the first 16 bits of a value together. Every threshold is a rank among the pixels of a
class (or of all classes), so the first pass tells its column for certain, and the second its value.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.solve import METHODS, solve_class_thresholds
from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress
from pipeline.samples.class_frequencies import sum_counts
from pipeline.selection import Selection
from pipeline.softmax_store.reader import ConfidenceStore


def solve_round(store: ConfidenceStore, method: str, problem: Problem, *, workers: int, progress: Progress) -> Selection:
    """Solve for one round's selection; pixels are read only where confidences are float32, once.

    Args:
        store: confidences of the round.
        method: a key of `METHODS`.
        problem: the first pass, `total_counts` and `precision.values` of the store.
        workers: threads.
        progress: shows the images that are read.

    Raises:
        ValueError: the store is damaged, or priors and classes do not match.
    """
    width = store.precision.finer_columns
    if width > 1:
        columns = threshold_columns(method, problem)
        images = range(len(store.image_ids))
        counted = map_ordered(lambda index: store.finer_counts(index, columns), images, workers=workers)
        finer = sum_counts(progress(counted, total=len(images), unit="image"), (store.num_classes, width))
        problem = refine(problem, columns, finer)
    return solve_class_thresholds(method, problem, class_names=store.class_names)


def threshold_columns(method: str, problem: Problem) -> NDArray[np.int64]:
    """Return (C,) int64: the column of each class that must be counted value by value.

    Args:
        method: a key of `METHODS`.
        problem: the first pass, whose `values` are the smallest of each column.
    """
    if method == "st" and problem.st_confidence is not None:
        column = max(int(np.searchsorted(problem.values_of(0), problem.st_confidence, side="right")) - 1, 0)
        return np.full(len(problem.counts), column, np.int64)
    # Where no pixel qualifies, no column matters.
    return np.minimum(METHODS[method](problem).bins, problem.num_bins - 1)


def refine(problem: Problem, columns: NDArray[np.int64], finer: NDArray[np.int64]) -> Problem:
    """Return the problem with one column of each class split into its values.

    Args:
        problem: the first pass, of float32 confidences.
        columns: (C,) int64, the column to split.
        finer: (C, F) int64, pixels at each value inside that column, ascending.

    Returns:
        A problem whose `values` are (C, B + F - 1) float32: those of other columns stay the smallest that they count.
    """
    counts, values = [], []
    for label, column in enumerate(columns.tolist()):
        row, own = problem.counts[label], problem.values_of(label)
        assert int(finer[label].sum()) == int(row[column])
        inside = (own[column : column + 1].view(np.uint32) + np.arange(finer.shape[1], dtype=np.uint32)).view(np.float32)
        counts.append(np.concatenate([row[:column], finer[label], row[column + 1 :]]))
        values.append(np.concatenate([own[:column], inside, own[column + 1 :]]))
    return replace(problem, counts=np.stack(counts), values=np.stack(values))
