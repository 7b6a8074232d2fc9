from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pipeline.models.build import build_network
from pipeline.runtime import torchvision
from tests.models.sections import model_params


def test_the_tiny_network_is_tiny() -> None:
    network = build_network(model_params(), 19)
    assert 100_000 < sum(parameter.numel() for parameter in network.parameters()) < 150_000


def test_the_paper_s_network_has_the_size_of_pspnet50() -> None:
    params = model_params(backbone="resnet50", output_stride=8, head_width=512)
    with torch.device("meta"):
        network = build_network(params, 19)
    assert sum(parameter.numel() for parameter in network.parameters()) == 48_956_262


def test_one_seed_gives_one_network() -> None:
    def states(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return build_network(model_params(), 7).state_dict()

    first, again, other = states(0), states(0), states(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("whole", [True, False])
def test_weights_of_a_file_are_loaded(tmp_path: Path, suffix: str, whole: bool) -> None:
    source = build_network(model_params(), 7)
    tensors = source.state_dict() if whole else source.backbone.state_dict()
    path = tmp_path / f"weights.{suffix}"
    write = save_file if suffix == "safetensors" else torch.save
    write(tensors, path)
    network = build_network(model_params(weights=str(path)), 7)
    for name, tensor in source.state_dict().items():
        if whole or name.startswith("backbone."):
            assert torch.equal(tensor, network.state_dict()[name])


def test_a_file_of_torchvision_s_resnet_fills_the_backbone(tmp_path: Path) -> None:
    theirs = torchvision.models.resnet18().state_dict()
    without_counters = {name: tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    save_file(without_counters, tmp_path / "resnet18.safetensors")
    params = model_params(backbone="resnet18", output_stride=8, weights=str(tmp_path / "resnet18.safetensors"))
    ours = build_network(params, 7).backbone.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def backbone_tensors() -> dict[str, torch.Tensor]:
    return dict(build_network(model_params(), 7).backbone.state_dict())


def without_first_layer() -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in backbone_tensors().items() if not name.startswith("layer1.")}


@pytest.mark.parametrize(
    ("tensors", "found"),
    [
        (without_first_layer(), r"missing: layer1\.0\.conv1\.weight, .*, \.\.\. - "),
        (backbone_tensors() | {"stem.weight": torch.zeros(1)}, r"1 not expected: stem\.weight - "),
        (backbone_tensors() | {"conv1.weight": torch.zeros(1, 2)}, r"conv1\.weight \(1, 2\) for \(16, 3, 3, 3\) - "),
        ({"model": backbone_tensors(), "epoch": 3}, r"a dict with 'model', 'epoch' - save the state_dict\(\)"),
        ([torch.zeros(1)], r"an object of type list - save the state_dict\(\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, tensors: Any, found: str) -> None:
    path = tmp_path / "weights.pt"
    torch.save(tensors, path)
    with pytest.raises(ValueError, match=found) as error:
        build_network(model_params(weights=str(path)), 7)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_of_other_classes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(build_network(model_params(), 7).state_dict(), path)
    with pytest.raises(ValueError, match=r"head\.4\.weight \(7, 48, 1, 1\) for \(5, 48, 1, 1\)"):
        build_network(model_params(weights=str(path)), 5)


@pytest.mark.parametrize("name", ["missing.pt", "missing.safetensors", "text.pt", "text.safetensors", "folder"])
def test_weights_that_cannot_be_read_are_one_line_of_advice(tmp_path: Path, name: str) -> None:
    for text in ("text.pt", "text.safetensors"):
        (tmp_path / text).write_text("no tensors here")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=r"model\.weights .* - expected a \.safetensors file or .* - name") as error:
        build_network(model_params(weights=str(tmp_path / name)), 7)
    assert "\n" not in str(error.value)


class Intruder:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("intruder"),)


def test_code_in_a_weights_file_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": Intruder()}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"model\.weights"):
        build_network(model_params(weights=str(tmp_path / "weights.pt")), 7)
    assert not Path("intruder").exists()
