"""How good pseudo labels are: how many, how distributed and, where true labels exist, how right."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.divergence import describe_kl
from pipeline.evaluation.confusion import confusion_matrix
from pipeline.machine.parallel import map_ordered
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import count_classes
from pipeline.samples.images import read_label_png, read_labels
from pipeline.samples.sample_lists import Sample


def measure_pseudo_labels(
    folder: Path, samples: Sequence[Sample], truth: Mapping[str, Sample], catalog: Catalog, *, workers: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Count the pseudo labels of every image and hold them against the true labels where there are any.

    Args:
        folder: of the pseudo labels.
        samples: the unlabeled images.
        truth: those of them whose labels are known, by image id.
        catalog: of the data set.
        workers: threads.

    Yields:
        (C,) int64 pixels by class, and the (C, C + 1) confusion matrix, zeros without true labels; in the order of `samples`.

    Raises:
        ValueError: a file is missing or damaged.
    """
    count = catalog.num_classes

    def measure(sample: Sample) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        pseudo = read_label_png(folder / f"{sample.image_id}.png", num_classes=count, size=sample.size)
        known = truth.get(sample.image_id)
        if known is None or known.labels is None:
            return count_classes(pseudo, count), np.zeros((count, count + 1), np.int64)
        labels = read_labels(known.labels, catalog, size=sample.size)
        return count_classes(pseudo, count), confusion_matrix(labels, pseudo, count)

    yield from map_ordered(measure, samples, workers=workers)


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
        class_priors: (C,) what the pseudo labels were aligned with.
        class_names: (C,).
        pixels: of all unlabeled images.

    Returns:
        `coverage`: pseudo-labeled over all pixels;
        `kl`: D_KL(class_priors || pseudo labels) in nats, see `describe_kl`;
        `kl_true`: D_KL(true labels || pseudo labels) likewise, over pixels whose true class is known (Table 15);
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
        "kl_true": describe_kl(confusion.sum(axis=1), labeled.sum(axis=0)),
        "accuracy": int(right.sum()) / total if total else None,
        "precision": by_class(labeled.sum(axis=0)),
        "recall": by_class(confusion.sum(axis=1)),
    }
