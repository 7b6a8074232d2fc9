"""Write the confidences of a round: those of the softmax store as they are, or those of calibrated probabilities."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.machine.parallel import map_ordered
from pipeline.softmax_store.arrays import CONFIDENCE_ARRAYS, chunk_sides, create_confidence_arrays, write_confidence_rows
from pipeline.softmax_store.location import fetch, seal_group
from pipeline.softmax_store.quantized_map import QuantizedMap
from pipeline.softmax_store.reader import CONFIDENCE_FORMAT_NAME, SoftmaxStore
from pipeline.softmax_store.writer import FORMAT_VERSION


def link_confidences(path: Path, store: SoftmaxStore) -> None:
    """Write a confidence store whose arrays are those of the softmax store: hard links, so that they take no room.

    Of a store at a URL they are copies, 3 bytes per pixel that labeling then reads from here.

    Args:
        path: a folder that does not exist.
        store: the softmax store; its files are never written again, only replaced.
    """
    group = _create_group(path, store)
    for name in CONFIDENCE_ARRAYS:
        if store.url is None:
            shutil.copytree(store.path / name, path / name, copy_function=_link)
        else:
            fetch(store.url, name, path / name)
    seal_group(group, path, None, CONFIDENCE_ARRAYS)


def calibrate_confidences(
    path: Path,
    store: SoftmaxStore,
    calibrate: Callable[[NDArray[np.floating[Any]]], NDArray[np.float32]],
    quantize: Callable[[NDArray[np.float32]], QuantizedMap],
    *,
    workers: int,
) -> Iterator[int]:
    """Write a confidence store of calibrated probabilities, shard by shard, in the precision of the softmax store.

    Args:
        path: a folder that does not exist.
        store: the softmax store.
        calibrate: of (C, H, W) stored probabilities, (C, H, W) float32 calibrated ones.
        quantize: of those, the entry in the precision of the softmax store.
        workers: threads.

    Yields:
        Images written so far.
    """
    group = _create_group(path, store)
    height, width = store.sizes.max(axis=0).tolist()
    shape = (len(store.image_ids), store.num_classes, height, width)
    sizes = [store.size(index) for index in range(len(store.image_ids))]
    create_confidence_arrays(group, shape, store.precision.dtype, len(store.shards[0]), chunk_sides(sizes))
    seal_group(group, path, None, CONFIDENCE_ARRAYS)

    def entry(index: int) -> QuantizedMap:
        return quantize(calibrate(store.softmax(index)))

    for rows in store.shards:
        write_confidence_rows(group, rows, list(map_ordered(entry, rows, workers=workers)), sizes)
        yield rows.stop


def _create_group(path: Path, store: SoftmaxStore) -> zarr.Group:
    group = zarr.open_group(path, mode="w-", zarr_format=3)
    names = {"image_ids": list(store.image_ids), "class_names": list(store.class_names)}
    group.attrs.update({"format": CONFIDENCE_FORMAT_NAME, "version": FORMAT_VERSION, **names, "dtype": store.precision.dtype})
    return group


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
    return target
