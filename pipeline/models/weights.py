"""Tensors from a file into a network: every name and shape must fit."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.models.network import SegmentationNetwork

_NAMED = 3  # names that an error lists


def load_weights(network: SegmentationNetwork, path: Path) -> None:
    """Load a state dict into the backbone or, when some of its names begin with `backbone.`, into the whole network.

    A file whose names all begin with `backbone.` fills the backbone. For a backbone, torchvision's ImageNet files fit as they
    are: the classifier is left out (`fc.*` of ResNets, `classifier.*` of MobileNetV3) and `features.` before MobileNetV3's
    blocks is dropped. Step counters of batch normalization, which older files lack, may be missing. Two habits of other
    trainers are undone: the dict as entry `state_dict` of another, and `module.` before every name.

    Args:
        network: changed in place.
        path: a .safetensors file (a checkpoint of this project is one), or a state dict written by `torch.save`.

    Raises:
        ValueError: no such file, not a state dict, or names or shapes differ.
    """
    tensors = _read_state_dict(path)
    for prefix in ("module.", "backbone."):
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    if any(name.startswith("backbone.") for name in tensors):
        part: torch.nn.Module = network
    else:
        part = network.backbone
        tensors = {
            name.removeprefix("features."): tensor
            for name, tensor in tensors.items()
            if not name.startswith(("fc.", "classifier."))
        }
    counters = {name: tensor for name, tensor in part.state_dict().items() if name.endswith(".num_batches_tracked")}
    load_tensors(
        part,
        counters | tensors,
        where=f"model.weights ({path})",
        remedy=f"use a file of the same model and {network.num_classes} classes, keep its `backbone.` tensors alone to start"
        " from those, or set model.weights to none",
    )


def load_tensors(module: torch.nn.Module, tensors: Mapping[str, Tensor], *, where: str, remedy: str) -> None:
    """Copy `tensors` into `module`, or change nothing.

    Args:
        module: changed in place.
        tensors: a state dict of `module`, complete.
        where: the file, for the error.
        remedy: what to do, for the error.

    Raises:
        ValueError: names are missing or not expected, or shapes differ; the first few are named.
    """
    expected = module.state_dict()
    differences = {
        "missing": [name for name in expected if name not in tensors],
        "not expected": [name for name in tensors if name not in expected],
        "of another shape": [
            f"{name} {tuple(tensors[name].shape)} for {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in tensors and tensors[name].shape != tensor.shape
        ],
    }
    found = "; ".join(
        f"{len(names)} {kind}: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}"
        for kind, names in differences.items()
        if names
    )
    if found:
        raise ValueError(
            f"{where} - expected the {len(expected)} tensors of the {type(module).__name__} - found {found} - {remedy}"
        )
    module.load_state_dict(tensors)


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read tensors by name without running code from the file."""
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"model.weights ({path}) - expected a .safetensors file or a state dict saved by torch"
            f" - found {_first_line(error)} - name such a file, or set model.weights to none"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise ValueError(
            f"model.weights ({path}) - expected a state dict, tensors by name - found {_describe(state)}"
            " - save the state_dict() itself and name that file"
        )
    return state


def _first_line(error: Exception) -> str:
    """Return what an error says first; torch adds a page of advice."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _describe(state: object) -> str:
    if isinstance(state, dict):
        return f"a dict with {', '.join(map(repr, list(state)[:_NAMED])) or 'no entry'}"
    return f"an object of type {type(state).__name__}"
