"""Networks as files: safetensors whose header tells how to rebuild the network, and its classes' names and colors."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pipeline.files import atomic_path
from pipeline.models.build import build_network
from pipeline.models.network import SegmentationNetwork
from pipeline.models.weights import load_tensors
from pipeline.params import ModelParams

_FORMAT_VERSION = 2
# One entry that holds everything: safetensors writes several entries in an order that changes from run to run.
_KEY = "dars"
_REMEDY = "delete it and run the stage that writes it"


class Checkpoint(NamedTuple):
    """A network as it was written."""

    network: SegmentationNetwork
    """On the CPU, in eval mode."""
    class_names: tuple[str, ...]
    """(C,), in the order of the logits."""
    colors: tuple[tuple[int, int, int], ...]
    """(C,) RGB triples, 0-255."""
    model_params: ModelParams
    """The section that the network was built from."""


def write_model(
    path: Path,
    network: SegmentationNetwork,
    *,
    model_params: ModelParams,
    class_names: Sequence[str],
    colors: Sequence[tuple[int, int, int]],
) -> None:
    """Write a network, whole or not at all; equal tensors and parameters give equal bytes.

    Args:
        path: an existing file is replaced.
        network: on any device, in any memory format.
        model_params: the section that it was built from.
        class_names: (C,), in the order of the logits.
        colors: (C,) RGB triples, 0-255, so that the file alone can predict and paint.
    """
    assert len(class_names) == len(colors) == network.num_classes
    header = {
        "format_version": _FORMAT_VERSION,
        "model": model_params.model_dump(mode="json"),
        "class_names": list(class_names),
        "colors": list(colors),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors, metadata={_KEY: json.dumps(header, sort_keys=True)}))


def read_model(path: Path) -> Checkpoint:
    """Rebuild the network of a checkpoint.

    Args:
        path: written by `write_model`.

    Raises:
        ValueError: no such file, no checkpoint of this version, or tensors that do not fit its own header.
    """
    header, tensors = _read(path)
    params, class_names, colors = _parse(header, path)
    # The initial weights are overwritten: drawing them must not move the generator of whoever reads a file.
    with torch.random.fork_rng(devices=[]):
        network = build_network(params.model_copy(update={"weights": "none"}), len(class_names))
    load_tensors(network, tensors, where=str(path), remedy=_REMEDY)
    return Checkpoint(network.eval(), class_names, colors, params)


def _read(path: Path) -> tuple[str | None, dict[str, Tensor]]:
    """Return our header, None when there is none, and the tensors by name."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return (file.metadata() or {}).get(_KEY), tensors
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} - expected a checkpoint - found {error} - {_REMEDY}") from error


def _parse(text: str | None, path: Path) -> tuple[ModelParams, tuple[str, ...], tuple[tuple[int, int, int], ...]]:
    """Check the header, its version first."""
    if text is None:
        raise ValueError(
            f"{path} - expected a checkpoint of this project - found a safetensors file without its header"
            " - to start from bare weights, name the file in model.weights"
        )
    try:
        header: Any = json.loads(text)
        version = header["format_version"]
        if version == _FORMAT_VERSION:
            class_names = tuple(map(str, header["class_names"]))
            colors = tuple(
                (int(red), int(green), int(blue)) for _, (red, green, blue) in zip(class_names, header["colors"], strict=True)
            )
            return ModelParams.model_validate(header["model"]), class_names, colors
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "values that do not fit together"
        raise ValueError(
            f"{path} - expected the model section of a checkpoint - found {key}: {first['msg']} - {_REMEDY}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} - expected the header of a checkpoint - found {error!r} - {_REMEDY}") from error
    raise ValueError(f"{path} - expected a checkpoint of format {_FORMAT_VERSION} - found format {version!r} - {_REMEDY}")
