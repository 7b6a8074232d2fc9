"""The arrays of a store: how they are chunked, sharded and compressed, and how images become rows of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from pipeline.params import Kept
from pipeline.softmax_store.quantized_map import QuantizedMap, precision_of

CONFIDENCE_ARRAYS = ("prediction", "confidence", "confidence_counts", "size")
"""What labeling reads: no array of them grows with the number of classes but the counts, which compress to almost nothing."""
SOFTMAX_ARRAYS: dict[Kept, tuple[str, ...]] = {
    "all": ("softmax", "ties", *CONFIDENCE_ARRAYS),
    "largest": ("ties", *CONFIDENCE_ARRAYS),
}
"""Arrays of a softmax store, by what it keeps."""
PER_CLASS = {"softmax", "ties", "confidence_counts"}
"""Arrays whose first two axes are images and classes."""
TILE = 512
"""Longest side of a chunk of pixels where images differ in size."""


def chunk_sides(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return height and width of the chunks of pixels: those of the images where all are equal, else no more than `TILE`.

    One large image among small ones would else have every small one padded, compressed and read at its size.
    """
    known = set(sizes)
    height, width = (max(size[axis] for size in known) for axis in (0, 1))
    return (height, width) if len(known) == 1 else (min(height, TILE), min(width, TILE))


def create_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    fill: float,
    per_shard: int,
    sides: tuple[int, int] | None = None,
) -> None:
    """Create an array whose first axis is the images, `per_shard` of them in a file.

    Pixels, whose chunks have `sides`, have chunks of their own for every image, so that one can be read alone. Everything else is
    read for all images, and then one chunk per file costs least.
    """
    if sides is None:
        chunks, shards = (per_shard, *shape[1:]), None
    else:
        chunks = (1, *shape[1:-2], *sides)
        # Whole chunks, those at the edge included.
        whole = (-(-length // side) * side for length, side in zip(shape[-2:], sides, strict=True))
        shards = (per_shard, *shape[1:-2], *whole)
    group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        shards=shards,
        # Level 1 without a shuffle: zarr's default wrote twice as slowly for no gain. The checksum finds damaged chunks.
        compressors=ZstdCodec(level=1, checksum=True),
        # With 0 as fill value, zarr writes no chunk for an all-zero image and a lost shard reads as valid data.
        fill_value=fill,
    )


def create_confidence_arrays(
    group: zarr.Group, shape: tuple[int, int, int, int], dtype: str, per_shard: int, sides: tuple[int, int]
) -> None:
    """Create `CONFIDENCE_ARRAYS` for softmax maps of `shape` (N, C, H, W) in chunks of `sides`."""
    count, classes, height, width = shape
    create_array(group, "prediction", (count, height, width), "uint8", 255, per_shard, sides)
    create_array(group, "confidence", (count, height, width), dtype, float("nan"), per_shard, sides)
    columns = precision_of(dtype, classes).num_columns
    create_array(group, "confidence_counts", (count, classes, columns), "uint32", 2**32 - 1, per_shard)
    create_array(group, "size", (count, 2), "int32", -1, per_shard)


def write_rows(group: zarr.Group, rows: range, name: str, images: Sequence[NDArray[Any]]) -> None:
    """Write whole shards of an array: images (..., H, W), each at its own size in the upper left, padding as the fill value.

    Chunks beyond the largest of these images are left out: they read as the fill value, too.
    """
    array = get_array(group, name)
    height, width = (
        min(-(-max(image.shape[axis] for image in images) // array.chunks[axis]) * array.chunks[axis], array.shape[axis])
        for axis in (-2, -1)
    )
    shard = np.empty((len(rows), *array.shape[1:-2], height, width), array.dtype)
    for place, image in zip(shard, images, strict=True):
        if place.shape != image.shape:
            place[...] = array.fill_value
        place[..., : image.shape[-2], : image.shape[-1]] = image
    array[rows.start : rows.stop, ..., :height, :width] = shard


def write_confidence_rows(
    group: zarr.Group, rows: range, entries: Sequence[QuantizedMap], sizes: Sequence[tuple[int, int]]
) -> None:
    """Write `CONFIDENCE_ARRAYS` of whole shards; `sizes` are those of all images of the store."""
    for name in ("prediction", "confidence"):
        write_rows(group, rows, name, [getattr(entry, name) for entry in entries])
    where = slice(rows.start, rows.stop)
    get_array(group, "confidence_counts")[where] = np.stack([entry.counts for entry in entries])
    get_array(group, "size")[where] = np.array([sizes[row] for row in rows], np.int32)


def get_array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """Return an array of a group.

    Raises:
        TypeError: `name` is no array.
    """
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise TypeError(f"{name} is no array")
    # No chunk is ever empty, and looking for empty ones costs as much as compressing.
    return array.with_config({"write_empty_chunks": True})
