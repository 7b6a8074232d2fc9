"""The optimizers and their groups of parameters: what trains, at which rate, with which decay."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from torch import nn, no_grad
from torch.optim import SGD, AdamW, Optimizer

from pipeline.models.network import SegmentationNetwork
from pipeline.params import TrainingParams

Kind = TypeVar("Kind", bound=Optimizer)


def build_optimizer(network: SegmentationNetwork, params: TrainingParams) -> Optimizer:
    """Return the optimizer with groups for the backbone and the heads; `factor` multiplies the rate of each.

    Raises:
        ValueError: the backbone has no layers to decay the rate over, or nothing is left to train.
    """
    groups = _backbone_groups(network, params)
    groups.append({"params": _trainable(network.head_parameters()), "factor": params.head_factor})
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise ValueError("training - expected parameters to train - found none - set training.freeze_backbone to false")
    if params.optimizer == "sgd":
        return without_compiler(SGD)(groups, lr=params.learning_rate, momentum=params.momentum, weight_decay=params.weight_decay)
    return without_compiler(AdamW)(_without_decay(groups, params.weight_decay), lr=params.learning_rate)


def without_compiler(optimizer: type[Kind]) -> type[Kind]:
    """Return the optimizer with methods that run as they are written.

    torch's import its compiler at their first call, 1.3 s of processor time, to keep themselves out of the graphs that it makes.
    Here it compiles networks alone (`runtime.compile`).
    """
    for method in vars(Optimizer).values():
        if plain := getattr(method, "__wrapped__", None):
            vars(plain).setdefault("__dynamo_disable", plain)  # what the wrapper calls, and would ask the compiler for
    return type(optimizer.__name__, (optimizer,), {"step": no_grad()(inspect.unwrap(optimizer.step))})


def _backbone_groups(network: SegmentationNetwork, params: TrainingParams) -> list[dict[str, Any]]:
    """Return a group of the backbone, or one for each of its layers."""
    if params.freeze_backbone:
        return []
    if params.layer_decay == 1.0:
        return [{"params": _trainable(network.backbone_parameters()), "factor": 1.0}]
    layers = network.backbone.layers()
    if not layers:
        raise ValueError(
            f"training.layer_decay - expected 1.0 for the {type(network.backbone).__name__}, which names no layers - found"
            f" {params.layer_decay} - set training.layer_decay=1.0, or take a model of timm"
        )
    return [
        {"params": _trainable(parameters), "factor": params.layer_decay ** (len(layers) - 1 - depth)}
        for depth, parameters in enumerate(layers)
    ]


def _trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]


def _without_decay(groups: Iterable[Mapping[str, Any]], weight_decay: float) -> list[dict[str, Any]]:
    """Split each group: biases and the factors of normalization, all of one dimension, do not decay."""
    parts = []
    for group in groups:
        for decays in (True, False):
            chosen = [parameter for parameter in group["params"] if (parameter.ndim > 1) == decays]
            if chosen:
                parts.append({**group, "params": chosen, "weight_decay": weight_decay if decays else 0.0})
    return parts
