"""The selection of a round from its confidence store: one radix pass over float16 confidences, two over float32."""

import numpy as np
from numpy.typing import NDArray

from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.refine import refine, threshold_columns
from pipeline.labeling.solve import solve_class_thresholds
from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress
from pipeline.samples.class_frequencies import sum_counts
from pipeline.selection import Selection
from pipeline.softmax_store.reader import ConfidenceStore


def solve_round(
    store: ConfidenceStore,
    method: str,
    *,
    class_priors: NDArray[np.float64],
    labeling_ratio: float,
    equal_pixels: bool,
    st_confidence: float | None,
    thin: str,
    workers: int,
    progress: Progress,
) -> Selection:
    """Solve one round's thresholds; pixels are read only where confidences are float32, once.

    Args:
        store: confidences of the round.
        method: a key of `METHODS`.
        class_priors: (C,) float64, class shares that pseudo labels are aligned with; sums to 1.
        labeling_ratio: the paper's alpha, in (0, 1].
        equal_pixels: see `Problem`, as for `st_confidence` and `thin`.
        st_confidence: likewise.
        thin: likewise.
        workers: threads.
        progress: shows the images that are read.

    Raises:
        ValueError: the store is damaged, or priors and classes do not match.
    """
    problem = Problem(
        store.total_counts(), store.precision.values, class_priors, labeling_ratio, equal_pixels, st_confidence, thin
    )
    finer_columns = store.precision.finer_columns
    if finer_columns > 1:
        columns = threshold_columns(method, problem)
        images = range(len(store.image_ids))
        counted = map_ordered(lambda index: store.finer_counts(index, columns), images, workers=workers)
        finer = sum_counts(progress(counted, total=len(images), unit="image"), (store.num_classes, finer_columns))
        problem = refine(problem, columns, finer)
    return solve_class_thresholds(method, problem, class_names=store.class_names)
