"""Which class shares pseudo labels are aligned with (r_j of Eq. 3): those of the labeled set, or others that the user wants."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.check import check_samples
from pipeline.datasets.data_set import DataSet
from pipeline.samples.class_frequencies import Shares, shares_of, sum_counts
from pipeline.samples.priors import read_known_priors
from pipeline.samples.sample_lists import read_ids


def target_priors(
    origin: str, data_set: DataSet, *, labeled: NDArray[np.int64], val: NDArray[np.int64], lists: Path, workers: int
) -> Shares:
    """Return the class priors that `data.priors` asks for.

    Args:
        origin: `labeled`, `source` (the labeled set of domain adaptation: DARS (SD)), `val` (DARS (TD)), or the name of a file in
            `lists`: .json as for `read_known_priors`, .txt with ids of images of `data_set` whose label files are counted.
        data_set: gives the unlabeled images.
        labeled: (C,) int64, pixels of the labeled set.
        val: (C,) int64, pixels of the validation set.
        lists: folder of the user's own lists.
        workers: threads that read label files.

    Returns:
        (C,) float64, sums to 1.

    Raises:
        ValueError: the file is missing or wrong, an image in it has no label file, or no pixel has a class.

    Reference:
        He et al. 2021, Eq. 3; supplement, Sec. C, "DARS (SD)" and "DARS (TD)".
    """
    if origin in {"labeled", "source"}:
        return shares_of(labeled)
    if origin == "val":
        return shares_of(val, where="val images")
    if origin.endswith(".json"):
        return read_known_priors(lists / origin, data_set.catalog.class_names)
    image_ids = read_ids(lists / origin, data_set.pairs)
    checked = check_samples(data_set, image_ids, labels_required=True, workers=workers)
    counts = sum_counts((counts for _, counts in checked), data_set.catalog.num_classes)
    return shares_of(counts, where=f"images of {lists / origin}")
