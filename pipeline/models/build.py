"""From the `model` section to a network: one file per network, one line in the table."""

from collections.abc import Callable
from pathlib import Path

from pipeline.models.backbones import build_backbone
from pipeline.models.decoders import DECODERS, Decoded, Linear
from pipeline.models.deeplabv2 import DeepLabV2
from pipeline.models.deeplabv3 import DeepLabV3
from pipeline.models.lraspp import LRASPP
from pipeline.models.network import Backbone, SegmentationNetwork
from pipeline.models.pretrained import load_imagenet
from pipeline.models.pspnet import PSPNet
from pipeline.models.weights import load_weights
from pipeline.params import ModelParams

BUILDERS: dict[str, Callable[[Backbone, ModelParams, int], SegmentationNetwork]] = {
    "pspnet": PSPNet,
    "deeplabv2": DeepLabV2,
    "deeplabv3": DeepLabV3,
    "lraspp": LRASPP,
    "linear": Linear,
    **dict.fromkeys(DECODERS, Decoded),
}
_NAMED_WEIGHTS = ("none", "imagenet")  # anything else is a file


def build_network(params: ModelParams, num_classes: int) -> SegmentationNetwork:
    """Build a network in training mode, on the CPU. Random weights come from torch's global generator: seed it before.

    Raises:
        ValueError: there is no such backbone, it does not fit the network, or the weights cannot be had or do not fit.
    """
    backbone = build_backbone(params.backbone, output_stride=params.output_stride)
    if params.weights == "imagenet":
        load_imagenet(backbone, params.backbone)
    network = BUILDERS[params.network](backbone, params, num_classes)
    if params.weights not in _NAMED_WEIGHTS:
        load_weights(network, Path(params.weights))
    return network


def describe_licence(network: SegmentationNetwork) -> list[str]:
    """Say under which licence the pretrained weights of a new network are; nothing where it has none."""
    licence = network.backbone.licence
    return [f"starts from pretrained weights; their licence: {licence}"] if licence else []


def weight_files(params: ModelParams) -> list[Path]:
    """Return the file that `model.weights` names, if it names one.

    Raises:
        ValueError: it is not there.
    """
    if params.weights in _NAMED_WEIGHTS:
        return []
    path = Path(params.weights)
    if not path.is_file():
        raise ValueError(f"params.yaml - model.weights - expected none, imagenet or a file - found {path} - correct the path")
    return [path]
