"""What a folder holds and what it would cost, as lines for a person."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.folders.found import Found
from pipeline.inspection.series import find_series
from pipeline.params import Kept, StoreParams
from pipeline.samples.class_frequencies import sum_counts

_MOST_SIZES = 3
_MOST_SERIES = 3


@dataclass
class Files:
    """What the files of a data set hold.

    Attributes:
        sizes: height and width of each image that can be read.
        counts: (C,) pixels of each class in each label file that can be read.
        turned: images that viewers turn.
        faults: of the others.
    """

    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    turned: int = 0
    faults: list[str] = field(default_factory=list)


def describe_files(found: Found, files: Files) -> Iterator[str]:
    """Say what lies there: layout, images, sizes, classes with their shares, what is left out."""
    data_set = found.data_set
    names, pairs = data_set.catalog.class_names, data_set.pairs
    labeled = sum(pair.labels is not None for pair in pairs.values())
    yield f"layout: {found.layout}"
    yield f"images: {len(pairs)}, {labeled} with labels, {len(pairs) - labeled} without"
    sizes = Counter(files.sizes.values()).most_common()
    more = f" and {len(sizes) - _MOST_SIZES} sizes more" if len(sizes) > _MOST_SIZES else ""
    shown = ", ".join(f"{count} of {width}x{height}" for (height, width), count in sizes[:_MOST_SIZES])
    yield f"width x height: {shown or 'none can be read'}{more}"
    if files.turned:
        yield f"turned by their EXIF orientation: {files.turned} images; label files must show them upright"
    counts = sum_counts(files.counts.values(), len(names))
    total = int(counts.sum())
    yield "classes, their shares of the labeled pixels and the label files that show them:"
    longest = max(map(len, names))
    for place, name in enumerate(names):
        shown_in = sum(bool(own[place]) for own in files.counts.values())
        yield f"  {name:<{longest}} {100 * int(counts[place]) / max(total, 1):5.1f} %  {shown_in} files"
    pixels = sum(height * width for image_id, (height, width) in files.sizes.items() if image_id in files.counts)
    yield f"without a class: {100 * (pixels - total) / max(pixels, 1):.1f} % of the pixels of label files"
    yield from data_set.remarks


def describe_series(image_ids: Iterable[str]) -> Iterator[str]:
    """Name what looks like series, in one line or none."""
    if series := find_series(image_ids):
        shown = ", ".join(f"{group[0]} to {group[-1]} ({len(group)})" for group in series[:_MOST_SERIES])
        yield f"series of numbered names: {len(series)}: {shown}; if neighbors show the same, list whole series in val.txt"


def bytes_per_pixel(dtype: str, num_classes: int, keep: Kept) -> int:
    """Return what a softmax store holds of a pixel before compression: probabilities of all classes or none, confidence, class.

    Its counts and sizes do not grow with the pixels.
    """
    return np.dtype(dtype).itemsize * ((num_classes if keep == "all" else 0) + 1) + 1


def describe_disk(pixels: int, num_classes: int, store: StoreParams, *, rounds: int) -> str:
    """Say what softmax stores of unlabeled pixels will take."""
    each, least = (bytes_per_pixel(store.dtype, num_classes, keep) for keep in (store.keep, "largest"))
    smaller = f", and softmax_store.keep=largest, without a calibrator, holds {least} bytes" if least < each else ""
    return (
        f"disk: at most {_spell_bytes(pixels * each)} for the softmax maps of each of {rounds} rounds, and as much again in DVC's"
        f" cache: {each} bytes ({num_classes} classes, {store.dtype}) for each of {pixels:,} unlabeled pixels, before"
        f" compression; with softmax_store.floor=0.001, photographs took a tenth{smaller}"
    )


def _spell_bytes(count: int) -> str:
    unit, size = next(((unit, size) for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)) if count >= size), ("kB", 1e3))
    return f"{count / size:.1f} {unit}"
