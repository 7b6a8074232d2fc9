import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.models.build import build_network
from pipeline.models.checkpoints import read_model, write_model
from pipeline.models.network import SegmentationNetwork
from pipeline.tensor_files import read_tensors, write_tensors
from tests.models.sections import PROTOCOL, model_params

CLASS_NAMES = ("road", "sky", "car", "bicycle")
COLORS = ((128, 64, 128), (70, 130, 180), (0, 0, 142), (119, 11, 32))


def trained_network() -> SegmentationNetwork:
    torch.manual_seed(0)
    network = build_network(model_params(), len(CLASS_NAMES))
    network(torch.randn(2, 3, 33, 49))
    return network.eval()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    write_model(path, trained_network(), model_params=model_params(), protocol=PROTOCOL, class_names=CLASS_NAMES, colors=COLORS)
    return path


def test_a_network_read_back_gives_the_same_logits(path: Path) -> None:
    images = torch.randn(1, 3, 33, 49)
    network, class_names, colors, *_ = read_model(path)
    assert class_names == CLASS_NAMES
    assert colors == COLORS
    assert not network.training
    with torch.no_grad():
        assert torch.equal(network(images).logits, trained_network()(images).logits)


def test_a_network_read_and_written_again_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    network, class_names, colors, *_ = read_model(path)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    write_model(
        tmp_path / "again", network, model_params=model_params(), protocol=PROTOCOL, class_names=class_names, colors=colors
    )
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_equal_networks_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    for _ in range(5):
        write_model(
            tmp_path / "again",
            trained_network(),
            model_params=model_params(),
            protocol=PROTOCOL,
            class_names=CLASS_NAMES,
            colors=COLORS,
        )
        assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_writing_replaces_a_file_and_leaves_nothing_beside_it(path: Path) -> None:
    path.write_text("old")
    write_model(path, trained_network(), model_params=model_params(), protocol=PROTOCOL, class_names=CLASS_NAMES, colors=COLORS)
    assert list(path.parent.iterdir()) == [path]


def test_reading_does_not_move_the_random_generator(path: Path) -> None:
    before = torch.get_rng_state()
    read_model(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_reading_needs_no_weights_file(tmp_path: Path) -> None:
    params = model_params(weights="gone.safetensors")
    write_model(
        tmp_path / "model", trained_network(), model_params=params, protocol=PROTOCOL, class_names=CLASS_NAMES, colors=COLORS
    )
    assert read_model(tmp_path / "model")[1] == CLASS_NAMES


def test_a_checkpoint_serves_as_weights(path: Path) -> None:
    network = build_network(model_params(weights=str(path)), len(CLASS_NAMES))
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in load_file(path).items())


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None]) -> None:
    tensors, text = read_tensors(path)
    assert text is not None
    header = json.loads(text)
    change(header, tensors)
    write_tensors(path, tensors, json.dumps(header))


def drop_layer1(_: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    for name in [name for name in tensors if name.startswith("backbone.layer1.")]:
        del tensors[name]


def add_a_tensor(_: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    tensors["extra"] = torch.zeros(1)


def reshape_a_tensor(_: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    tensors["head.4.bias"] = torch.zeros(9)


def raise_the_version(header: dict[str, Any], _: dict[str, Tensor]) -> None:
    header.update(format_version=99, what_came_with_it=0)
    del header["model"]


def drop_the_model_section(header: dict[str, Any], _: dict[str, Tensor]) -> None:
    del header["model"]


def drop_a_color(header: dict[str, Any], _: dict[str, Tensor]) -> None:
    del header["colors"][0]


def contradict_the_model_section(header: dict[str, Any], _: dict[str, Tensor]) -> None:
    header["model"]["network"] = "lraspp"


def break_the_model_section(header: dict[str, Any], _: dict[str, Tensor]) -> None:
    header["model"]["backbone"] = "resnet7"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (drop_layer1, r"found 12 missing: backbone\.layer1\.0\.conv1\.weight, .*, \.\.\. - delete"),
        (add_a_tensor, r"found 1 not expected: extra - delete"),
        (reshape_a_tensor, r"found 1 of another shape: head\.4\.bias \(9,\) for \(4,\) - delete"),
        (raise_the_version, r" - format_version - Input should be 4 - found 99 .*- delete"),
        (drop_the_model_section, r" - model - Field required - found nothing - delete"),
        (drop_a_color, r"expected a color for each of 4 classes, found 3 - delete"),
        (contradict_the_model_section, r" - model - .* expected 'mobilenet_v3_large' .* - delete"),
        (break_the_model_section, r" - model\.backbone - expected a model of timm .* - found resnet7 - choose one of resnet"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_line_of_advice(
    path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None], found: str
) -> None:
    rewrite(path, change)
    with pytest.raises(ValueError, match=found) as error:
        read_model(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_safetensors_of_someone_else_are_no_checkpoint(path: Path) -> None:
    save_file(load_file(path), path)
    with pytest.raises(ValueError, match=r"without its header - .* name the file in model\.weights"):
        read_model(path)


def test_a_flipped_byte_anywhere_is_damage_or_changes_nothing(path: Path) -> None:
    content, expected = path.read_bytes(), read_model(path)
    for place in np.random.default_rng(0).integers(0, len(content), 60).tolist() + list(range(0, 2000, 97)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = read_model(path)
        except ValueError as error:
            problem = str(error)
        else:
            problem = ""
            assert found[1:] == expected[1:], "harmless"
        assert not problem or (problem.startswith(str(path)) and "\n" not in problem)
        assert problem or place < 2000, "no tensor has a byte that may change"


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_truncated_file_is_no_checkpoint(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"expected a checkpoint - found .* - delete it and run") as error:
        read_model(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_no_checkpoints(tmp_path: Path) -> None:
    for absent in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ValueError, match=r"expected a checkpoint - found"):
            read_model(absent)
