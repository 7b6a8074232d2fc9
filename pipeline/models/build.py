"""From the `model` section to a network: one file per network, one line in the table."""

from collections.abc import Callable
from pathlib import Path

from pipeline.models.backbones import build_backbone
from pipeline.models.deeplabv2 import DeepLabV2
from pipeline.models.deeplabv3 import DeepLabV3
from pipeline.models.lraspp import LRASPP
from pipeline.models.network import Backbone, SegmentationNetwork
from pipeline.models.pspnet import PSPNet
from pipeline.models.weights import load_weights
from pipeline.params import ModelParams

_NAMED_WEIGHTS = ("none", "imagenet")  # anything else is a file


def build_network(params: ModelParams, num_classes: int) -> SegmentationNetwork:
    """Build a network in training mode, on the CPU.

    Args:
        params: the `model` section. Random weights come from torch's global generator: seed it before.
        num_classes: C.

    Raises:
        ValueError: the weights cannot be had or do not fit.
    """
    backbone = build_backbone(
        params.backbone,
        output_stride=params.output_stride,
        weights=params.weights if params.weights in _NAMED_WEIGHTS else "none",
    )
    network = BUILDERS[params.network](backbone, params, num_classes)
    if params.weights not in _NAMED_WEIGHTS:
        load_weights(network, Path(params.weights))
    return network


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


def _build_pspnet(backbone: Backbone, params: ModelParams, num_classes: int) -> PSPNet:
    return PSPNet(
        backbone,
        num_classes=num_classes,
        bins=params.bins,
        head_width=params.head_width,
        dropout=params.dropout,
        auxiliary=params.auxiliary,
    )


def _build_deeplabv2(backbone: Backbone, params: ModelParams, num_classes: int) -> DeepLabV2:
    return DeepLabV2(backbone, num_classes=num_classes, dropout=params.dropout, auxiliary=params.auxiliary)


def _build_deeplabv3(backbone: Backbone, params: ModelParams, num_classes: int) -> DeepLabV3:
    return DeepLabV3(backbone, num_classes=num_classes, auxiliary=params.auxiliary)


def _build_lraspp(backbone: Backbone, params: ModelParams, num_classes: int) -> LRASPP:
    assert not params.auxiliary
    return LRASPP(backbone, num_classes=num_classes)


BUILDERS: dict[str, Callable[[Backbone, ModelParams, int], SegmentationNetwork]] = {
    "pspnet": _build_pspnet,
    "deeplabv2": _build_deeplabv2,
    "deeplabv3": _build_deeplabv3,
    "lraspp": _build_lraspp,
}
