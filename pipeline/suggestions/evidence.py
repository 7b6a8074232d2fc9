"""What a round's confidences say of each unlabeled image: pixels that its classes likely have, and pixels likely wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress
from pipeline.softmax_store.reader import ConfidenceStore

_UNIT = 2**24
"""Every confidence that is counted is a whole number of these parts of 1, so their sums are exact in any order."""


@dataclass(frozen=True)
class Evidence:
    """Of N unlabeled images, sorted by image id: where scores are equal, the first is taken.

    Attributes:
        image_ids: (N,).
        predicted: (N, C) int64, pixels predicted as each class.
        right: (N, C) float64, how many of them are expected to be right: the sum of their confidences.
    """

    image_ids: Sequence[str]
    predicted: NDArray[np.int64]
    right: NDArray[np.float64]

    @property
    def pixels(self) -> NDArray[np.int64]:
        """(N,) int64: pixels of each image."""
        return np.asarray(self.predicted.sum(axis=1), np.int64)

    @property
    def errors(self) -> NDArray[np.float64]:
        """(N,) float64: pixels of each image whose prediction is expected to be wrong."""
        # Sums of the unit's multiples, so exact, and equal for equal images.
        return np.asarray((self.predicted - self.right).sum(axis=1), np.float64)


def read_evidence(store: ConfidenceStore, *, workers: int, progress: Progress) -> Evidence:
    """Weigh the counts of a round's confidences; no pixel is read.

    Of float32, whose counts are coarser, a pixel has the smallest confidence of its column: less than a hundredth too low.

    Args:
        store: confidences of the round.
        workers: threads, each of which holds the counts of one shard.
        progress: shows the images.

    Raises:
        ValueError: the store is damaged.
    """
    values = np.asarray(store.precision.values.astype(np.float64) * _UNIT, np.int64)

    def weigh(rows: range) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        # Image by image: the counts of a whole shard, as wide as their sums, would take twice their room.
        counts = (image.astype(np.int64) for image in store.counts_of(rows))
        return [(image.sum(axis=1), image @ values) for image in counts]

    weighed = chain.from_iterable(map_ordered(weigh, store.shards, workers=workers))
    found = list(progress(weighed, total=len(store.image_ids), unit="image"))
    order = sorted(range(len(found)), key=lambda index: store.image_ids[index])
    return Evidence(
        image_ids=[store.image_ids[index] for index in order],
        predicted=np.stack([found[index][0] for index in order]),
        right=np.stack([found[index][1] for index in order]) / _UNIT,
    )
