"""From the `model` section to a network: one file per network, one line in the table."""

from pathlib import Path

from pipeline.models.backbones import build_backbone
from pipeline.models.pspnet import PSPNet
from pipeline.models.weights import load_weights
from pipeline.params import ModelParams

_NAMED_WEIGHTS = ("none", "imagenet")  # anything else is a file


def build_network(params: ModelParams, num_classes: int) -> PSPNet:
    """Build a network in training mode, on the CPU.

    Args:
        params: the `model` section. Random weights come from torch's global generator: seed it before.
        num_classes: C.

    Raises:
        ValueError: the backbone cannot serve the output stride, or the weights cannot be had or do not fit.
    """
    network = _BUILDERS[params.network](params, num_classes)
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


def _build_pspnet(params: ModelParams, num_classes: int) -> PSPNet:
    backbone = build_backbone(
        params.backbone,
        output_stride=params.output_stride,
        weights=params.weights if params.weights in _NAMED_WEIGHTS else "none",
    )
    return PSPNet(
        backbone,
        num_classes=num_classes,
        bins=params.bins,
        head_width=params.head_width,
        dropout=params.dropout,
        auxiliary=params.auxiliary,
    )


_BUILDERS = {
    "pspnet": _build_pspnet,
}
