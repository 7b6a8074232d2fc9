"""From images to a softmax store: reading, network, quantizing and writing overlap, and none waits for a later one."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.inference.predictor import Predictor
from pipeline.inference.quantize import quantize
from pipeline.machine.parallel import map_ordered
from pipeline.params import StoreParams
from pipeline.samples.images import image_of
from pipeline.samples.sample_lists import Sample
from pipeline.softmax_store.quantized_map import QuantizedMap
from pipeline.softmax_store.writer import SoftmaxStoreWriter

_THREAD = threading.local()
"""A stream for each thread that quantizes: torch keeps memory of its own for every stream."""


def begin_store(
    folder: Path,
    samples: Sequence[Sample],
    class_names: Sequence[str],
    params: StoreParams,
    *,
    attributes: Mapping[str, Any],
    process: int,
    base_url: str | None,
) -> SoftmaxStoreWriter:
    """Begin a store of some images, or take up one that an earlier run left behind; see `SoftmaxStoreWriter`.

    The folder's name is that of this work and no other; at `base_url`, where stores lie elsewhere, it names the store.
    """
    return SoftmaxStoreWriter(
        folder,
        image_ids=[sample.image_id for sample in samples],
        sizes=[sample.size for sample in samples],
        class_names=class_names,
        params=params,
        attributes=attributes,
        process=process,
        url=base_url and f"{base_url.rstrip('/')}/{folder.name}/softmax.zarr",
    )


def fill_store(
    writer: SoftmaxStoreWriter,
    predictor: Predictor,
    samples: Sequence[Sample],
    params: StoreParams,
    *,
    shards: Sequence[int],
    workers: int,
) -> Iterator[int]:
    """Predict the images of some shards and write them; yield the shards as they are finished, in their order.

    The network runs in the caller's thread, one image after another; all else runs in others: `workers` read ahead, as many
    quantize behind, half as many compress and write. On a GPU, what is stored is computed there. At most 4 images per worker
    and two shards per writer are in memory.

    Args:
        writer: of the store.
        predictor: of the teacher.
        samples: (N,) all images of the store.
        params: the `softmax_store` section that the store was begun with.
        shards: to fill.
        workers: threads.

    Raises:
        ValueError: an image cannot be read, or its map holds values that are no probabilities.
    """
    images = [samples[row] for shard in shards for row in writer.shards[shard]]
    prepared = map_ordered(lambda sample: predictor.prepare(image_of(sample)), images, workers=workers)
    predicted = ((sample, *_mark(predictor.predict(image))) for sample, image in zip(images, prepared, strict=True))

    def entry(item: tuple[Sample, Tensor, torch.cuda.Event | None]) -> QuantizedMap:
        sample, probs, event = item
        try:
            return _quantize(probs, event, params)
        except ValueError as error:
            raise ValueError(f"{sample.image_id} - {error}") from error

    entries = map_ordered(entry, predicted, workers=workers)
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


def _quantize(probs: Tensor, event: torch.cuda.Event | None, params: StoreParams) -> QuantizedMap:
    if event is None:
        return quantize(probs, floor=params.floor, dtype=params.dtype, keep=params.keep)
    # A stream of its own: the copy to this side waits for this image alone, while the network goes on with the next.
    if not hasattr(_THREAD, "stream"):
        torch.cuda.set_device(probs.device)  # a thread begins on the first GPU, whichever is this process's
        _THREAD.stream = torch.cuda.Stream(probs.device)  # type: ignore[no-untyped-call]
    stream = _THREAD.stream
    stream.wait_event(event)
    with torch.cuda.stream(stream):
        entry = quantize(probs, floor=params.floor, dtype=params.dtype, keep=params.keep)
    probs.record_stream(stream)
    return entry
