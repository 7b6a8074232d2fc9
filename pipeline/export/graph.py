"""From a network to the bytes of an ONNX file, by torch's exporter."""

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch

from pipeline.export.deployed import OUTPUTS, Deployed
from pipeline.export.request import Shape
from pipeline.models.network import SegmentationNetwork

OPSET = 18
"""Of ONNX: the one that torch's exporter writes without converting it; runtimes have known it since 2023."""

_LARGEST = 2**31
"""Bytes of a message of protobuf, which one ONNX file is."""


def build_graph(network: SegmentationNetwork, shape: Shape, metadata: Mapping[str, str], *, where: str) -> bytes:
    """Export a network to one ONNX file with all of `OUTPUTS`; equal networks give equal bytes.

    Args:
        network: on the CPU, in eval mode; left as it is.
        shape: of its images.
        metadata: texts by key, to lie in the file.
        where: name of the network, for errors.

    Raises:
        ValueError: the network is too large for one file, cannot take images of this size, or torch cannot express it.
    """
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    if size >= _LARGEST:
        raise ValueError(
            f"{where} - expected weights of less than 2 GiB, the most that one ONNX file holds - found {size / 2**30:.1f} GiB"
            " - train a smaller student"
        )
    # A batch of one would be taken for a constant.
    images = torch.zeros(shape.batch or 2, shape.height, shape.width, 3, dtype=torch.uint8)
    dynamic = None if shape.batch else ({0: torch.export.Dim("batch")},)
    with _quiet(), torch.no_grad():
        try:
            program: Any = torch.onnx.export(
                Deployed(network).eval(),
                (images,),
                input_names=["images"],
                output_names=list(OUTPUTS),
                dynamic_shapes=dynamic,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            cause = error.__cause__ or error
            reason = " ".join(str(cause).split())[:200] or type(cause).__name__
            raise ValueError(
                f"{where} - expected a network that torch can express in ONNX for images of {shape.height}x{shape.width} - found:"
                f" {reason} - choose another size, or another network"
            ) from error
    return _serialize(program.model_proto, metadata)


def without_logits(content: bytes) -> bytes:
    """Return a file that computes the same and keeps its logits to itself."""
    import onnx

    model = onnx.load_from_string(content)
    assert model.graph.output[-1].name == OUTPUTS[-1]
    del model.graph.output[-1]
    return bytes(model.SerializeToString(deterministic=True))


def _serialize(model: Any, metadata: Mapping[str, str]) -> bytes:  # noqa: ANN401 - a message of protobuf
    # The exporter notes for every operation which line of whose disk it comes from: two thirds of a small file, and another on
    # each machine.
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for key, text in metadata.items():
        model.metadata_props.add(key=key, value=text)
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter logs and prints from the person who watches: of what it cannot express, whole graphs."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
