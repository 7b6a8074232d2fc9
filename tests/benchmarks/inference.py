"""From images to a softmax store, beside the network alone; and how large the store becomes."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from pipeline.experiments.overrides import apply_changes, merge
from pipeline.experiments.settings import read_setting
from pipeline.inference.predictor import Predictor
from pipeline.inference.quantize import quantize
from pipeline.models.build import build_network
from pipeline.params import Params, StoreParams, read_params
from pipeline.runtime import prepare_device
from pipeline.samples.sample_lists import Sample
from pipeline.schema import read_yaml
from tests.benchmarks.maps import NAMES, softmax_map
from tests.benchmarks.measure import measure
from tests.benchmarks.table import Row
from tests.workspace import ROOT

if TYPE_CHECKING:
    from pipeline.softmax_store.writer import SoftmaxStoreWriter  # training is measured where Zarr is missing


def inference(folder: Path, count: int, height: int, width: int, *, network: str) -> Iterator[Row]:
    """Compare at `count` random images with a network of random weights: what it predicts costs the same to compute."""
    what = f"{count} x {height}x{width}x19"
    params = settings(network)
    alone = measure(predict_alone, params, count, height, width, repeat=2)
    whole = measure(predict_and_store, folder, params, count, height, width, repeat=2)
    yield Row(f"infer: {network}, read to store", what, whole, "the network alone", alone)
    quantizing = measure(quantize_and_write, folder, count, height, width)
    writing = measure(write_bytes, folder, quantized_bytes(count, height, width))
    yield Row("quantize + compress + write, one thread each", what, quantizing, "writing so many raw bytes", writing)


def setup(params: Params) -> Predictor:
    """Return a predictor as `infer` has it, of a new network."""
    torch.manual_seed(0)
    network, device = build_network(params.model, len(NAMES)), prepare_device(params.runtime)
    average, compiled = params.softmax_store.average, params.runtime.compile
    return Predictor(network, params.inference, device, average=average, compiled=compiled)


def settings(network: str) -> Params:
    """Return the parameters of the network `small`, that of `params.yaml`, of `resnet50`, the paper's, or `photo`, for photos."""
    params = read_params(ROOT / "params.yaml")
    if network == "photo":
        return read_changed("folder-small", {})
    if network == "resnet50":
        paper = {"backbone": "resnet50", "output_stride": 8, "head_width": 512, "auxiliary": True, "weights": "none"}
        model = params.model.model_copy(update=paper)
        params = params.model_copy(update={"model": model})
    return params


def read_changed(setting: str, changes: Mapping[str, Any]) -> Params:
    """Return the parameters of a setting, with `changes`."""
    own = read_setting(ROOT / "data/settings", setting).params
    return Params.model_validate(apply_changes(read_yaml(ROOT / "params.yaml"), merge(own, changes)))


def images(count: int, height: int, width: int) -> list[np.ndarray]:
    """Return random images."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def predict_alone(params: Params, count: int, height: int, width: int) -> Callable[[], None]:
    """Run the network on images that are there already and keep nothing."""
    predictor = setup(params)
    shown = [predictor.prepare(image) for image in images(count, height, width)]

    def work() -> None:
        for image in shown:
            predictor.predict(image)
        if predictor.device.type == "cuda":
            torch.cuda.synchronize()

    return work


def predict_and_store(folder: Path, params: Params, count: int, height: int, width: int) -> Callable[[], None]:
    """Read images, run the network and write the store."""
    from pipeline.inference.fill_store import begin_store, fill_store

    predictor, workers = setup(params), params.runtime.workers
    samples = [Sample(f"image_{index}", height, width, folder / f"{index}.png", "") for index in range(count)]
    for sample, image in zip(samples, images(count, height, width), strict=True):
        Image.fromarray(image).save(sample.image, compress_level=1)

    def work() -> None:
        store = folder / "infer"
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir()
        writer = begin_store(store, samples, NAMES, params.softmax_store, attributes={}, process=0, base_url=None)
        for _ in fill_store(writer, predictor, samples, params.softmax_store, shards=writer.pending, workers=workers):
            pass

    return work


def quantize_and_write(folder: Path, count: int, height: int, width: int) -> Callable[[], None]:
    """Quantize and write maps like a trained network's."""
    probs = softmax_map(0, height, width)

    def work() -> None:
        writer = new_writer(folder / "quantize", count, height, width)
        for shard, rows in enumerate(writer.shards):
            writer.write_shard(shard, [quantize(probs, floor=0.0, dtype="float16", keep="all") for _ in rows])

    return work


def write_bytes(folder: Path, amount: int) -> Callable[[], None]:
    """Write so many random bytes and wait for the disk."""
    chunk = np.random.default_rng(0).bytes(2**24)

    def work() -> None:
        with (folder / "raw").open("wb") as handle:
            for _ in range(-(-amount // len(chunk))):
                handle.write(chunk)
            handle.flush()
            os.fsync(handle.fileno())

    return work


def quantized_bytes(count: int, height: int, width: int) -> int:
    """Return how many bytes a store's arrays have before compression."""
    return count * height * width * (2 * len(NAMES) + 3)


def new_writer(folder: Path, count: int, height: int, width: int, *, floor: float = 0.0) -> "SoftmaxStoreWriter":
    """Begin a store."""
    from pipeline.softmax_store.writer import SoftmaxStoreWriter

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return SoftmaxStoreWriter(
        folder,
        image_ids=[f"image_{index}" for index in range(count)],
        sizes=[(height, width)] * count,
        class_names=NAMES,
        params=StoreParams(average="probabilities", dtype="float16", floor=floor, keep="all", shard_mib=64.0),
        attributes={},
    )
