"""Softmax maps that look like those of a trained network: smooth, mostly sure, unsure along borders, many pixels at 1."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pipeline.inference.quantize import quantize
from pipeline.params import StoreParams
from pipeline.samples.catalog import Catalog
from pipeline.samples.priors import ClassPriors
from pipeline.softmax_store.quantized_map import QuantizedMap
from tests.workspace import ROOT, change_params

NUM_CLASSES = 19
NAMES = tuple(f"class_{index}" for index in range(NUM_CLASSES))
ALPHA = 0.2


def softmax_map(index: int, height: int, width: int) -> NDArray[np.float32]:
    """Return (19, height, width) float32, a function of the arguments alone."""
    rng = np.random.default_rng(index)
    # Frequencies of classes fall off as those of street scenes do.
    bias = -0.35 * np.arange(NUM_CLASSES)[:, None, None]
    coarse = rng.normal(0, 4, (NUM_CLASSES, height // 32 + 2, width // 32 + 2)) + bias
    logits = functional.interpolate(torch.from_numpy(coarse.astype(np.float32))[None], size=(height, width), mode="bilinear")[0]
    probs: NDArray[np.float32] = functional.softmax(3.0 * logits, dim=0).numpy()
    return probs


def write_maps(folder: Path, count: int, height: int, width: int) -> None:
    """Write `count` maps as float16 arrays, one file each: what the references start from."""
    folder.mkdir(parents=True)
    for index in range(count):
        np.save(folder / f"{index:05}.npy", softmax_map(index, height, width).astype(np.float16))


def read_maps(folder: Path) -> Iterator[NDArray[np.float16]]:
    """Yield what `write_maps` wrote, one after another."""
    for file in sorted(folder.glob("*.npy")):
        yield np.load(file)


def write_store(folder: Path, count: int, height: int, width: int, *, different: int | None = None, floor: float = 1e-3) -> Path:
    """Write a softmax store of `count` maps, and around it what labeling needs; return the store.

    Args:
        folder: becomes a workspace with `params.yaml`, `catalog.json` and `class_priors.json`.
        count: images.
        height: of each.
        width: of each.
        different: maps that differ, the others repeat them; None = all.
        floor: of the store.
    """
    from pipeline.softmax_store.writer import SoftmaxStoreWriter

    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    change_params(folder, {"alpha": ALPHA})
    colors = tuple((index, 2 * index, 255 - index) for index in range(NUM_CLASSES))
    train_ids = {index: index for index in range(NUM_CLASSES)}
    Catalog(name="bench", class_names=NAMES, colors=colors, train_ids=train_ids).write(folder / "catalog.json")
    labeled = np.arange(NUM_CLASSES, 0, -1, dtype=np.int64) ** 2
    priors = ClassPriors.build(NAMES, target=labeled / labeled.sum(), labeled=labeled, origin="labeled")
    priors.write(folder / "class_priors.json")
    writer = SoftmaxStoreWriter(
        folder,
        image_ids=[f"image_{index:05}" for index in range(count)],
        sizes=[(height, width)] * count,
        class_names=NAMES,
        params=StoreParams(average="probabilities", dtype="float16", floor=floor, keep="all", shard_mib=64.0),
        attributes={},
    )

    def entry(index: int) -> QuantizedMap:
        return quantize(softmax_map(index, height, width), floor=floor, dtype="float16", keep="all")

    repeated = [entry(index) for index in range(min(different or 0, count))]
    for shard, rows in enumerate(writer.shards):
        writer.write_shard(shard, [repeated[row % len(repeated)] if repeated else entry(row) for row in rows])
    return writer.path
