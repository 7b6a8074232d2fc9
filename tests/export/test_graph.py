"""What lies in a file: the normalization, nothing of the machine that wrote it, always the same bytes."""

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from pipeline.export.graph import OPSET, build_graph, without_logits
from pipeline.export.metadata import describe_checkpoint
from pipeline.export.request import Shape
from pipeline.models.normalization import Normalization
from tests.export.cases import CLASS_NAMES, COLORS, NETWORKS, build, noise_images, run, write_checkpoint
from tests.models.sections import PROTOCOL
from tests.workspace import ROOT

SHAPE = Shape(1, 20, 31)


@pytest.fixture(scope="module")
def content() -> bytes:
    return build_graph(build(NETWORKS["linear"]), SHAPE, {"key": '"text"'}, where="model")


def test_a_file_takes_images_as_they_are_and_names_what_it_gives(content: bytes) -> None:
    graph = onnx.load_from_string(content).graph
    onnx.checker.check_model(content, full_check=True)

    def described(values: list[onnx.ValueInfoProto]) -> list[tuple[str, str, list[int]]]:
        kinds = [(value.name, value.type.tensor_type) for value in values]
        return [
            (name, onnx.helper.tensor_dtype_to_string(kind.elem_type).rpartition(".")[2], [n.dim_value for n in kind.shape.dim])
            for name, kind in kinds
        ]

    assert described(graph.input) == [("images", "UINT8", [1, 20, 31, 3])]
    assert described(graph.output) == [
        ("prediction", "UINT8", [1, 20, 31]),
        ("confidence", "FLOAT", [1, 20, 31]),
        ("logits", "FLOAT", [1, len(CLASS_NAMES), 20, 31]),
    ]
    assert [(entry.domain, entry.version) for entry in onnx.load_from_string(content).opset_import] == [("", OPSET)]


def test_a_file_without_logits_computes_the_same(content: bytes) -> None:
    images = noise_images(1, 20, 31)
    short, whole = run(without_logits(content), images), run(content, images)
    assert list(short) == ["prediction", "confidence"]
    assert all(np.array_equal(short[name], whole[name]) for name in short)


def test_equal_networks_give_equal_bytes(content: bytes) -> None:
    assert build_graph(build(NETWORKS["linear"]), SHAPE, {"key": '"text"'}, where="model") == content


def test_a_file_names_no_place_of_the_machine_that_wrote_it(content: bytes) -> None:
    for place in (str(ROOT), "site-packages", ".py", "pipeline"):
        assert place.encode() not in content
    assert [(entry.key, entry.value) for entry in onnx.load_from_string(content).metadata_props] == [("key", '"text"')]


def test_the_network_is_left_as_it_is() -> None:
    network = build(NETWORKS["pspnet"])
    before, modules = {name: tensor.clone() for name, tensor in network.state_dict().items()}, [*map(type, network.modules())]
    build_graph(network, SHAPE, {}, where="model")
    assert [*map(type, network.modules())] == modules
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_normalization_in_a_file_is_that_of_its_network(content: bytes) -> None:
    network = build(NETWORKS["linear"])
    network.backbone.normalization = Normalization((0.1, 0.9, 0.5), (0.5, 0.25, 0.125))
    other = build_graph(network, SHAPE, {}, where="model")
    images = noise_images(1, 20, 31)
    assert np.abs(run(other, images)["logits"] - run(content, images)["logits"]).max() > 0.01
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(other).graph.initializer}
    assert np.array_equal(weights["mean"].ravel(), np.array([25.5, 229.5, 127.5], np.float32))
    assert np.array_equal(weights["factor"].ravel(), np.array([1 / 127.5, 1 / 63.75, 1 / 31.875], np.float32))


def test_a_pspnet_takes_no_more_operations_for_a_larger_image() -> None:
    counts = [
        len(onnx.load_from_string(build_graph(build(NETWORKS["pspnet"]), Shape(1, *size), {}, where="model")).graph.node)
        for size in ((33, 49), (129, 257))
    ]
    assert counts[0] == counts[1] < 100


def test_a_fixed_batch_is_that_alone_and_a_dynamic_one_has_a_name() -> None:
    network = build(NETWORKS["linear"])
    fixed = build_graph(network, Shape(3, 8, 8), {}, where="model")
    assert run(fixed, noise_images(3, 8, 8))["prediction"].shape == (3, 8, 8)
    with pytest.raises(Exception, match="invalid dimensions"):
        run(fixed, noise_images(1, 8, 8))
    graph = onnx.load_from_string(build_graph(network, Shape(None, 8, 8), {}, where="model")).graph
    assert {value.type.tensor_type.shape.dim[0].dim_param for value in (*graph.input, *graph.output)} == {"batch"}


def test_a_file_says_all_that_its_user_has_to_know(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "model")
    checkpoint.network.backbone.licence = "Apache-2.0"
    about = {key: json.loads(text) for key, text in describe_checkpoint(checkpoint, sha256="0" * 64).items()}
    assert about["class_names"] == list(CLASS_NAMES)
    assert about["colors"] == [list(color) for color in COLORS]
    assert about["protocol"] == PROTOCOL.model_dump(mode="json")
    assert about["licence"] == "Apache-2.0"
    assert about["model"]["network"] == "deeplabv2"
    assert "weights" not in about["model"], "a path of the machine that trained"
    assert about["mean"] == [0.485, 0.456, 0.406]
    assert about["checkpoint_sha256"] == "0" * 64


def test_what_torch_cannot_express_is_one_line_and_torch_says_nothing_beside_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    network = build(NETWORKS["linear"])

    def classify(features: list[torch.Tensor]) -> torch.Tensor:
        return features[-1][:, :5] if features[-1].sum() > 0 else features[-1][:, 5:10]

    monkeypatch.setattr(network, "classify", classify)
    before = warnings.filters[:], logging.root.manager.disable
    with pytest.raises(ValueError, match=r"^model - expected a network .* images of 20x31 - found: .* - choose another") as error:
        build_graph(network, SHAPE, {}, where="model")
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")
    assert (warnings.filters[:], logging.root.manager.disable) == before


def test_weights_beyond_what_one_file_holds_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.export.graph._LARGEST", 1000)
    with pytest.raises(ValueError, match="less than 2 GiB"):
        build_graph(build(NETWORKS["linear"]), SHAPE, {}, where="model")
