"""A file that differs from torch is refused; ties are not."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from pipeline.export.agreement import compare
from pipeline.export.graph import build_graph
from pipeline.export.images import draw_images, read_images
from pipeline.export.onnx_file import write_onnx
from pipeline.export.request import Shape
from pipeline.machine.progress import Item
from pipeline.models.network import SegmentationNetwork
from tests.export.cases import CLASS_NAMES, NETWORKS, build, noise_images, write_checkpoint

SHAPE = Shape(2, 16, 21)


@pytest.fixture(scope="module")
def network() -> SegmentationNetwork:
    return build(NETWORKS["linear"])


@pytest.fixture(scope="module")
def content(network: SegmentationNetwork) -> bytes:
    return build_graph(network, SHAPE, {}, where="model")


def held(content: bytes, network: SegmentationNetwork, count: int = 3) -> str:
    return str(compare([content], network, SHAPE, noise_images(count, 16, 21), threads=1, where="model"))


def test_it_says_on_how_many_images_and_how_well_they_agree(content: bytes, network: SegmentationNetwork) -> None:
    assert held(content, network).startswith("as torch on 3 images: logits within ")
    assert held(content, network).endswith("every pixel of the same class")


@pytest.mark.parametrize("part", ["mean", "network.head.2.weight"])
def test_a_file_with_another_weight_is_refused(content: bytes, network: SegmentationNetwork, part: str) -> None:
    model = onnx.load_from_string(content)
    [tensor] = [tensor for tensor in model.graph.initializer if tensor.name == part]
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) + np.float32(0.1), part))
    with pytest.raises(ValueError, match=r"^model - expected of onnxruntime .* - found a difference") as error:
        held(model.SerializeToString(), network)
    assert "\n" not in str(error.value)


def test_a_network_that_gives_no_numbers_is_refused(content: bytes) -> None:
    network = build(NETWORKS["linear"])
    with torch.no_grad():
        next(iter(network.head_parameters())).fill_(torch.nan)
    with pytest.raises(ValueError, match="expected finite logits - found NaN"):
        held(content, network)


def test_classes_among_ties_are_counted_and_not_refused() -> None:
    # Two classes of equal weights; one of them is larger by less than rounding in torch alone.
    exported, tied = build(NETWORKS["linear"]), build(NETWORKS["linear"])
    for network, more in ((exported, 0.0), (tied, 1e-6)):
        bias = torch.zeros(len(CLASS_NAMES))
        bias[3] = more
        weight = torch.zeros_like(network.state_dict()["head.2.weight"])
        network.load_state_dict({"head.2.weight": weight, "head.2.bias": bias}, strict=False)
    content = build_graph(exported, SHAPE, {}, where="model")
    assert held(content, tied, count=2).endswith(f"{2 * 16 * 21} pixels of another class among ties")


def test_a_file_that_is_refused_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "model.safetensors", tmp_path / "model.onnx"
    checkpoint = write_checkpoint(source)
    out.write_text("old")
    monkeypatch.setattr("pipeline.export.agreement.TOLERANCE", 0.0)
    with pytest.raises(ValueError, match="nothing was written"):
        write_onnx(out, checkpoint, SHAPE, draw_images(SHAPE), source=source, logits=False, threads=1)
    assert out.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.onnx"}


def test_images_of_ones_own_are_brought_to_the_size_of_the_file(tmp_path: Path) -> None:
    for name, size in (("b.png", (40, 30)), ("a.jpg", (9, 12))):
        Image.fromarray(noise_images(1, *size)[0]).save(tmp_path / name)
    seen = []

    def progress(items: Iterable[Item], /, *, total: int, unit: str) -> Iterable[Item]:
        seen.append((total, unit))
        return items

    assert [image.shape for image in read_images(tmp_path, SHAPE, progress=progress)] == [(16, 21, 3)] * 2
    assert seen == [(2, "image")]


def test_drawn_images_are_always_the_same_and_differ_from_each_other() -> None:
    first, again = list(draw_images(SHAPE)), list(draw_images(SHAPE))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({image.tobytes() for image in first}) == 3
    assert {image.shape for image in first} == {(16, 21, 3)}
