"""How good pseudo labels are: how many, how distributed and, where true labels exist, how right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.distribution import describe_kl


def pseudo_label_metrics(
    counts: NDArray[np.int64],
    confusion: NDArray[np.int64],
    class_priors: NDArray[np.float64],
    class_names: Sequence[str],
    *,
    pixels: int,
) -> dict[str, object]:
    """Measure the pseudo labels of a round.

    Args:
        counts: (C,) int64, pixels pseudo-labeled as each class, over all unlabeled images.
        confusion: (C, C + 1) int64 over those images whose true labels are known; rows true, columns pseudo-labeled, the last
            column without a pseudo label.
        class_priors: (C,) shares of the labeled set.
        class_names: (C,).
        pixels: of all unlabeled images.

    Returns:
        `coverage`: pseudo-labeled over all pixels;
        `kl`: D_KL(class_priors || pseudo labels) in nats, see `describe_kl`;
        `accuracy`: right over all pseudo-labeled pixels that have a true class (None without any);
        `precision` by class: right among the pixels pseudo-labeled as it (None: there are none);
        `recall` by class: pseudo-labeled as it among its true pixels (None: it does not occur).
    """
    labeled = confusion[:, :-1]
    right = np.diagonal(labeled)
    total = int(labeled.sum())

    def by_class(whole: NDArray[np.int64]) -> dict[str, float | None]:
        return {name: int(part) / int(all_) if all_ else None for name, part, all_ in zip(class_names, right, whole, strict=True)}

    return {
        "coverage": int(counts.sum()) / pixels,
        "kl": describe_kl(class_priors, counts),
        "accuracy": int(right.sum()) / total if total else None,
        "precision": by_class(labeled.sum(axis=0)),
        "recall": by_class(confusion.sum(axis=1)),
    }
