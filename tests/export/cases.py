"""Small checkpoints of every network, and the files made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from pipeline.models.build import build_network
from pipeline.models.checkpoints import Checkpoint, read_model, write_model
from pipeline.models.network import SegmentationNetwork
from pipeline.models.normalization import normalize
from pipeline.params import ModelParams
from tests.models.sections import PROTOCOL, model_params, with_uneven_statistics

CLASS_NAMES = ("road", "sky", "car", "tree", "bicycle")
COLORS = ((128, 64, 128), (70, 130, 180), (0, 0, 142), (107, 142, 35), (119, 11, 32))

_TIMM = {"head_width": 16, "auxiliary": False}
# Every network, and every kind of backbone: the tiny one, a ResNet, a mobile one, timm's for CPUs, plain transformers, of which
# one interpolates its positions and the other turns them, and one of several stages.
NETWORKS: dict[str, ModelParams] = {
    **{name: model_params(network=name, head_width=16) for name in ("pspnet", "deeplabv2", "deeplabv3", "deeplabv3plus")},
    **{name: model_params(network=name, head_width=16) for name in ("unet", "upernet", "segformer", "linear")},
    "fpn": model_params(network="fpn", backbone="convnext_atto", output_stride=32, head_width=32, auxiliary=False),
    "lraspp": model_params(network="lraspp", backbone="mobilenet_v3_large", output_stride=16, auxiliary=False),
    "dpt": model_params(network="dpt", backbone="vit_tiny_patch16_224", output_stride=16, **_TIMM),
    "linear-dinov3": model_params(network="linear", backbone="vit_small_patch16_dinov3", output_stride=16, **_TIMM),
    "pspnet-resnet18": model_params(backbone="resnet18", output_stride=8),
    "deeplabv3plus-lite0": model_params(network="deeplabv3plus", backbone="tf_efficientnet_lite0", output_stride=16, **_TIMM),
    "upernet-pvt": model_params(network="upernet", backbone="pvt_v2_b0", output_stride=32, **_TIMM),
}


def build(section: ModelParams) -> SegmentationNetwork:
    """Build a network of random weights in eval mode."""
    torch.manual_seed(0)
    return with_uneven_statistics(build_network(section, len(CLASS_NAMES)))


def write_checkpoint(path: Path, section: ModelParams | None = None) -> Checkpoint:
    """Write a checkpoint, by default of the smallest network, and read it back."""
    chosen = section or NETWORKS["deeplabv2"]
    write_model(path, build(chosen), model_params=chosen, protocol=PROTOCOL, class_names=CLASS_NAMES, colors=COLORS)
    return read_model(path)


def noise_images(count: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return images, (N, H, W, 3)."""
    return np.random.default_rng(7).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def run(content: bytes, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Return what a file gives, by name."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


def logits_of(network: SegmentationNetwork, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what torch gives, (N, C, H, W)."""
    normalized = torch.stack([normalize(image, network.backbone.normalization) for image in images])
    with torch.inference_mode():
        return np.asarray(network(normalized).logits)


def initializers(content: bytes) -> set[str]:
    """Return the names of a file's weights."""
    return {tensor.name for tensor in onnx.load_from_string(content).graph.initializer}
