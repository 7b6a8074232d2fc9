"""Stores on disk."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.inference.quantize import quantize
from pipeline.params import Kept, StoreParams
from pipeline.softmax_store.quantized_map import QuantizedMap, precision_of
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from tests.strategies import make_probs

SIZES = ((5, 7), (1, 1), (8, 3), (2, 9), (8, 9))
CLASS_NAMES = ("road", "sky", "car")
ONE_IMAGE = 3 * 1721 * 4 / 2**20
"""MiB of the counts of one image of `SIZES`, its largest array."""


def street_probs(seed: int = 0) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return [make_probs(rng, size, len(CLASS_NAMES), (0, 2)) for size in SIZES]


def open_writer(
    folder: Path,
    sizes: Sequence[tuple[int, int]] = SIZES,
    *,
    floor: float = 0.0,
    shard_mib: float = 2 * ONE_IMAGE,
    dtype: Literal["float16", "float32"] = "float16",
    keep: Kept = "all",
    url: str | None = None,
) -> SoftmaxStoreWriter:
    return SoftmaxStoreWriter(
        folder,
        image_ids=[f"image_{index}" for index in range(len(sizes))],
        sizes=sizes,
        class_names=CLASS_NAMES,
        params=StoreParams(average="probabilities", dtype=dtype, floor=floor, keep=keep, shard_mib=shard_mib),
        attributes={"teacher_sha256": "abc", "inference": {"flip": True}},
        url=url,
    )


def entry(probs: NDArray[np.float32], *, floor: float = 0.0, dtype: str = "float16", keep: Kept = "all") -> QuantizedMap:
    return quantize(probs, floor=floor, dtype=dtype, keep=keep)


def count_confidences(
    prediction: NDArray[np.uint8], confidence: NDArray[np.floating], num_classes: int, dtype: str
) -> NDArray[np.uint32]:
    """(C, B): pixels predicted as each class in each column of confidences."""
    precision = precision_of(dtype, num_classes)
    counts = np.zeros((num_classes, precision.num_columns), np.uint32)
    np.add.at(counts, (prediction.ravel(), precision.columns(confidence.ravel())), 1)
    return counts


def write_maps(
    writer: SoftmaxStoreWriter, index: int, maps: Sequence[NDArray[np.float32]], *, dtype: str = "float16", keep: Kept = "all"
) -> None:
    """Write one shard from probabilities."""
    writer.write_shard(index, [entry(probs, dtype=dtype, keep=keep) for probs in maps])


def write_pending(
    writer: SoftmaxStoreWriter,
    probs: Sequence[NDArray[np.float32]],
    *,
    most: int | None = None,
    dtype: str = "float16",
    keep: Kept = "all",
) -> list[int]:
    """Write the shards that are missing, at most `most` of them; return which."""
    pending = writer.pending[:most]
    for index in pending:
        write_maps(writer, index, [probs[row] for row in writer.shards[index]], dtype=dtype, keep=keep)
    return pending


def digests(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
