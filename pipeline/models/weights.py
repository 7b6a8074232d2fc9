"""Tensors from a file into a network: every name and shape must fit."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.models.network import Backbone, SegmentationNetwork

_NAMED = 3  # names that an error lists


def load_weights(network: SegmentationNetwork, path: Path) -> None:
    """Load a state dict into the backbone or, when some of its names begin with `backbone.`, into the whole network.

    A file whose names all begin with `backbone.` fills the backbone; for that, the files of its own library fit as they are, see
    `Backbone.own_tensors`. Step counters of batch normalization, which older files lack, may be missing. Two habits of other
    trainers are undone: the dict as entry `state_dict` of another, and `module.` before every name.

    Args:
        network: changed in place.
        path: a .safetensors file (a checkpoint of this project is one), or a state dict written by `torch.save`.

    Raises:
        ValueError: no such file, not a state dict, or names or shapes differ.
    """
    where = f"model.weights ({path})"
    tensors = read_state_dict(path, where=where, remedy="name such a file, or set model.weights to none")
    for prefix in ("module.", "backbone."):
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    remedy = (
        f"use a file of the same model and {network.num_classes} classes, keep its `backbone.` tensors alone to start"
        " from those, or set model.weights to none"
    )
    if any(name.startswith("backbone.") for name in tensors):
        load_tensors(network, _counters(network) | tensors, where=where, remedy=remedy)
    else:
        load_backbone(network.backbone, tensors, where=where, remedy=remedy)


def load_backbone(backbone: Backbone, tensors: Mapping[str, Tensor], *, where: str, remedy: str) -> None:
    """Fill a backbone with its own tensors, or those of the library that defines it.

    Raises:
        ValueError: see `load_tensors`, whose `where` and `remedy` these are.
    """
    try:
        own = backbone.own_tensors(tensors)
    except Exception as error:  # of other networks' tensors, a library's conversion raises whatever it stumbles over
        raise ValueError(f"{where} - expected tensors of the {type(backbone).__name__} - found {error!r} - {remedy}") from error
    load_tensors(backbone, _counters(backbone) | own, where=where, remedy=remedy)


def _counters(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in module.state_dict().items() if name.endswith(".num_batches_tracked")}


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


def read_state_dict(path: Path, *, where: str, remedy: str) -> dict[str, Tensor]:
    """Read tensors by name without running code from the file.

    Args:
        path: a .safetensors file, or a state dict written by `torch.save`.
        where: the file, for the error.
        remedy: what to do, for the error.

    Raises:
        ValueError: no such file, or not a state dict.
    """
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{where} - expected a .safetensors file or a state dict saved by torch - found {_first_line(error)} - {remedy}"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise ValueError(
            f"{where} - expected a state dict, tensors by name - found {_describe(state)}"
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
