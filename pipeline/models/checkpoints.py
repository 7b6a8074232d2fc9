"""Networks as files: safetensors whose header tells how to rebuild the network, how to test it, and what its classes are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

import torch
from pydantic import ValidationError, model_validator
from torch import Tensor

from pipeline.models.build import build_network
from pipeline.models.network import SegmentationNetwork
from pipeline.models.normalization import Normalization
from pipeline.models.weights import load_tensors
from pipeline.params import InferenceProtocol, ModelParams
from pipeline.schema import Section, describe_error
from pipeline.tensor_files import read_tensors, write_tensors

_REMEDY = "delete it and run the stage that writes it"


class _Header(Section):
    format_version: Literal[4]  # the first, so that an error names it and not what another format has besides
    model: ModelParams
    protocol: InferenceProtocol
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str | None
    class_names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]

    @model_validator(mode="after")
    def _every_class_has_a_color(self) -> Self:
        if len(self.colors) != len(self.class_names):
            raise ValueError(f"expected a color for each of {len(self.class_names)} classes, found {len(self.colors)}")
        return self


class Checkpoint(NamedTuple):
    """A network as it was written."""

    network: SegmentationNetwork
    """On the CPU, in eval mode; its backbone knows the normalization of its images and the licence of its first weights."""
    class_names: tuple[str, ...]
    """(C,), in the order of the logits."""
    colors: tuple[tuple[int, int, int], ...]
    """(C,) RGB triples, 0-255."""
    model_params: ModelParams
    """The section that the network was built from."""
    protocol: InferenceProtocol
    """By which it was to be tested when it was trained."""


def write_model(
    path: Path,
    network: SegmentationNetwork,
    *,
    model_params: ModelParams,
    protocol: InferenceProtocol,
    class_names: Sequence[str],
    colors: Sequence[tuple[int, int, int]],
) -> None:
    """Write a network, whole or not at all; equal tensors and parameters give equal bytes.

    Args:
        path: an existing file is replaced.
        network: on any device, in any memory format.
        model_params: the section that it was built from.
        protocol: by which to test it, so that the file alone can predict what was measured.
        class_names: (C,), in the order of the logits.
        colors: (C,) RGB triples, 0-255, so that the file alone can paint.
    """
    assert len(class_names) == len(colors) == network.num_classes
    header = _Header(
        format_version=4,
        model=model_params,
        protocol=protocol,
        mean=network.backbone.normalization.mean,
        std=network.backbone.normalization.std,
        licence=network.backbone.licence,
        class_names=tuple(class_names),
        colors=tuple(colors),
    )
    write_tensors(path, network.state_dict(), header.model_dump_json())


def read_model(path: Path) -> Checkpoint:
    """Rebuild the network of a checkpoint that `write_model` wrote.

    Raises:
        ValueError: no such file, no checkpoint of this version, or tensors that do not fit its own header.
    """
    header, tensors = _read(path)
    # The initial weights are overwritten: drawing them must not move the generator of whoever reads a file.
    with torch.random.fork_rng(devices=[]):
        try:
            network = build_network(header.model.model_copy(update={"weights": "none"}), len(header.class_names))
        except ValueError as error:
            raise ValueError(f"{path} - {error}") from error
    load_tensors(network, tensors, where=str(path), remedy=_REMEDY)
    network.backbone.normalization = Normalization(header.mean, header.std)
    network.backbone.licence = header.licence
    return Checkpoint(network.eval(), header.class_names, header.colors, header.model, header.protocol)


def _read(path: Path) -> tuple[_Header, dict[str, Tensor]]:
    """Return the header and the tensors by name."""
    try:
        tensors, text = read_tensors(path)
    except (FileNotFoundError, IsADirectoryError, ValueError) as error:
        raise ValueError(f"{path} - expected a checkpoint - found {error} - {_REMEDY}") from error
    if text is None:
        raise ValueError(
            f"{path} - expected a checkpoint of this project - found a safetensors file without its header"
            " - to start from bare weights, name the file in model.weights"
        )
    try:
        return _Header.model_validate_json(text), tensors
    except ValidationError as error:
        raise ValueError(describe_error(path, error, remedy=_REMEDY)) from error
