"""From images to a softmax store: reading, network, quantizing and writing overlap, and none waits for a later one."""

import threading
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.inference.predictor import Predictor
from pipeline.inference.quantize import quantize_tensor
from pipeline.machine.parallel import map_ordered
from pipeline.softmax_store.quantize import QuantizedMap
from pipeline.softmax_store.writer import SoftmaxStoreWriter

_THREAD = threading.local()
"""A stream for each thread that quantizes: torch keeps memory of its own for every stream."""


def fill_store(
    writer: SoftmaxStoreWriter, predictor: Predictor, read: Callable[[int], NDArray[np.uint8]], *, shards: list[int], workers: int
) -> Iterator[int]:
    """Predict the images of some shards and write them; yield the shards as they are finished, in their order.

    The network runs in the caller's thread, one image after another; all else runs in others: `workers` read ahead, as many
    quantize behind, half as many compress and write. On a GPU, what is stored is computed there. At most 4 images per worker
    and two shards per writer are in memory.

    Args:
        writer: of the store.
        predictor: of the teacher.
        read: from the row of an image to (H, W, 3) uint8.
        shards: to fill.
        workers: threads.

    Raises:
        ValueError: an image cannot be read, or its map holds values that are no probabilities.
    """
    rows = [row for shard in shards for row in writer.shards[shard]]
    prepared = map_ordered(lambda row: predictor.prepare(read(row)), rows, workers=workers)
    predicted = ((row, *_mark(predictor.predict(image))) for row, image in zip(rows, prepared, strict=True))
    entries = map_ordered(lambda item: _quantize(writer, *item), predicted, workers=workers)
    filled = ((shard, list(islice(entries, len(writer.shards[shard])))) for shard in shards)

    def write(item: tuple[int, list[QuantizedMap]]) -> int:
        writer.write_shard(*item)
        return item[0]

    yield from map_ordered(write, filled, workers=max(workers // 2, 1))


def _mark(probs: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Return probabilities with the moment at which the GPU has them."""
    if probs.device.type != "cuda":
        return probs, None
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(probs.device))
    return probs, event


def _quantize(writer: SoftmaxStoreWriter, row: int, probs: Tensor, event: torch.cuda.Event | None) -> QuantizedMap:
    if event is None:
        return writer.quantize(row, probs.numpy())
    # A stream of its own: the copy to this side waits for this image alone, while the network goes on with the next.
    if not hasattr(_THREAD, "stream"):
        torch.cuda.set_device(probs.device)  # a thread begins on the first GPU, whichever is this process's
        _THREAD.stream = torch.cuda.Stream(probs.device)  # type: ignore[no-untyped-call]
    stream = _THREAD.stream
    stream.wait_event(event)
    with torch.inference_mode(), torch.cuda.stream(stream), writer.naming(row):
        entry = quantize_tensor(probs, floor=writer.floor, dtype=writer.dtype)
    probs.record_stream(stream)
    return entry
