"""The field's measures of a segmentation, from a confusion matrix."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.params import EvaluationParams


def iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the intersection over union of each class.

    Args:
        confusion: (C, C + 1) int64 as `confusion_matrix` counts it.

    Returns:
        (C,) float64 in [0, 1]; NaN for a class that is neither among the labels nor predicted.
    """
    intersection = np.diagonal(confusion)
    union = confusion.sum(axis=1) + confusion[:, :-1].sum(axis=0) - intersection
    result: NDArray[np.float64] = np.divide(intersection, union, out=np.full(len(confusion), np.nan), where=union > 0)
    return result


def mean_iou(class_iou: NDArray[np.float64], classes: NDArray[np.bool_] | None = None) -> float | None:
    """Average IoU over the classes that occur.

    Args:
        class_iou: (C,) float64, NaN where a class is absent from labels and predictions.
        classes: (C,) bool, which to average; None = all.

    Returns:
        In [0, 1], or None if none of the classes occurs.
    """
    chosen = class_iou if classes is None else class_iou[classes]
    present = chosen[~np.isnan(chosen)]
    return float(present.mean()) if present.size else None


def tail_classes(class_names: Sequence[str], class_priors: NDArray[np.float64], params: EvaluationParams) -> NDArray[np.bool_]:
    """Say which classes are tail classes: those named in `params`, else those below a share of the labeled pixels.

    Args:
        class_names: (C,).
        class_priors: (C,) shares of the labeled set; never of the set that is evaluated.
        params: the `evaluation` section.

    Returns:
        (C,) bool.

    Raises:
        ValueError: a named class does not exist.
    """
    if params.tail_classes is None:
        return class_priors < params.tail_share
    if unknown := [name for name in params.tail_classes if name not in class_names]:
        raise ValueError(
            f"params.yaml - evaluation.tail_classes - expected names among {', '.join(class_names)} - found {unknown[0]}"
            " - correct it"
        )
    return np.array([name in params.tail_classes for name in class_names])
