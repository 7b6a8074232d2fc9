"""Open every file once, before hours are spent: a damaged image or an impossible label is found in `prepare`, by name."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.faults import MOST_FAULTS, tell_faults
from pipeline.files import digest
from pipeline.machine.parallel import map_ordered
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import count_classes
from pipeline.samples.images import read_image, read_labels
from pipeline.samples.sample_lists import Sample


def check_samples(
    data_set: DataSet, image_ids: Sequence[str], *, labels_required: bool, workers: int
) -> Iterator[tuple[Sample, NDArray[np.int64]]]:
    """Read the images of a data set and their label files; yield samples and (C,) pixel counts in the order of `image_ids`.

    An image without a label file has counts of zero, or is an error if `labels_required`.

    Raises:
        ValueError: a file is damaged, sizes differ, a value is no class, or a required label file is missing; tells of the first
            such image and names some more.
    """
    pairs = data_set.pairs

    def check(image_id: str) -> tuple[Sample, NDArray[np.int64]] | ValueError:
        try:
            return check_pair(image_id, pairs[image_id], data_set.catalog, labels_required=labels_required)
        except ValueError as error:
            return error

    wrong: list[ValueError] = []
    for result in map_ordered(check, image_ids, workers=workers):
        if isinstance(result, ValueError):
            wrong.append(result)
            if len(wrong) == MOST_FAULTS:
                break
        elif not wrong:
            yield result
    if wrong:
        raise ValueError(tell_faults([str(error) for error in wrong])) from wrong[0]


def check_pair(image_id: str, pair: Pair, catalog: Catalog, *, labels_required: bool) -> tuple[Sample, NDArray[np.int64]]:
    """Do what `check_samples` does with one image.

    Raises:
        ValueError: likewise.
    """
    height, width = read_image(pair.image).shape[:2]
    counts = np.zeros(catalog.num_classes, np.int64)
    if pair.labels is not None:
        counts = count_classes(read_labels(pair.labels, catalog, size=(height, width)), catalog.num_classes)
    elif labels_required:
        raise ValueError(
            f"{pair.image} - expected a label file for this image - found none - add it or take the image off the list"
        )
    sample = Sample(
        image_id=image_id,
        height=height,
        width=width,
        image=pair.image,
        image_sha256=digest(pair.image),
        labels=pair.labels,
        labels_sha256="" if pair.labels is None else digest(pair.labels),
    )
    return sample, counts
