"""An exported file beside the network that it was made from: how far they differ, its size, images a second."""

from collections.abc import Callable, Iterator
from pathlib import Path

import onnxruntime
import torch

from pipeline.export.images import draw_images
from pipeline.export.onnx_file import write_onnx
from pipeline.export.request import Shape
from pipeline.inference.predictor import Predictor
from pipeline.models.build import build_network
from pipeline.models.checkpoints import read_model, write_model
from pipeline.params import Params
from pipeline.runtime import prepare_device
from tests.benchmarks.inference import images, settings
from tests.benchmarks.maps import NAMES
from tests.benchmarks.measure import measure
from tests.benchmarks.table import Row

NETWORKS: dict[str, Callable[[], Params]] = {
    "PSPNet on tiny": lambda: settings("small"),
    "DeepLabv3+ on lite0": lambda: settings("photo"),
    "PSPNet on ResNet-50": lambda: settings("resnet50"),
    "linear on ViT-S/16": lambda: changed(network="linear", backbone="vit_small_patch16_224", output_stride=16),
}


def changed(**model: object) -> Params:
    """Return the parameters of the network `small` with another one, from scratch: its speed is the same."""
    params = settings("small")
    return params.model_copy(update={"model": params.model.model_copy(update={"auxiliary": False, **model})})


def export(folder: Path, count: int, height: int, width: int) -> Iterator[Row]:
    """Run `count` images through each file and its network, one view each and one at a time."""
    shape = Shape(1, height, width)
    for name, read in NETWORKS.items():
        params, file, model = read(), folder / "network.onnx", folder / "network.safetensors"
        prepare_device(params.runtime)
        torch.manual_seed(0)
        section, protocol = params.model, params.inference.protocol
        colors = ((0, 0, 0),) * len(NAMES)
        network = build_network(section, len(NAMES))
        write_model(model, network, model_params=section, protocol=protocol, class_names=NAMES, colors=colors)
        seen = draw_images(shape)
        agreement = write_onnx(file, read_model(model), shape, seen, source=model, logits=False, threads=params.runtime.threads)
        size = f"{count} x {height}x{width}x{len(NAMES)}"
        what = f"onnxruntime: {name}, {file.stat().st_size / 1e6:.2f} MB, logits within {agreement.difference:.0e}"
        ours = measure(run_file, file, params.runtime.threads, count, height, width, repeat=6)
        yield Row(what, size, ours, "torch", measure(run_network, name, model, count, height, width, repeat=6))


def run_file(file: Path, threads: int, count: int, height: int, width: int) -> Callable[[], None]:
    """Predict with onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    shown = images(count, height, width)

    def work() -> None:
        for image in shown:
            session.run(None, {"images": image[None]})

    return work


def run_network(name: str, model: Path, count: int, height: int, width: int) -> Callable[[], None]:
    """Predict as `predict` does, by one view of each image."""
    params = NETWORKS[name]()
    one_view = {"long_side": None, "scales": (1.0,), "flip": False, "sliding_window": False}
    protocol = params.inference.model_copy(update=one_view)
    predictor = Predictor(read_model(model).network, protocol, prepare_device(params.runtime))
    shown = images(count, height, width)

    def work() -> None:
        for image in shown:
            predictor.prediction(image)

    return work
