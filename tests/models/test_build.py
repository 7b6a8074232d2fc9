from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pipeline.models.build import build_network
from pipeline.params import read_params
from pipeline.runtime import import_torchvision
from tests.models.sections import SMALL_NETWORKS, count, model_params
from tests.workspace import ROOT, change_params

torchvision = import_torchvision()


def test_the_tiny_network_is_tiny() -> None:
    network = build_network(model_params(), 19)
    assert 100_000 < count(network) < 150_000


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_one_seed_gives_one_network(name: str) -> None:
    def states(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return build_network(SMALL_NETWORKS[name], 7).state_dict()

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


def test_a_file_of_torchvision_s_mobilenet_fills_the_backbone(tmp_path: Path) -> None:
    theirs = torchvision.models.mobilenet_v3_large().state_dict()
    torch.save(theirs, tmp_path / "mobilenet.pth")
    params = SMALL_NETWORKS["lraspp"].model_copy(update={"weights": str(tmp_path / "mobilenet.pth")})
    ours = build_network(params, 7).backbone.state_dict()
    assert all(torch.equal(tensor, theirs[f"features.{name}"]) for name, tensor in ours.items())


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("prefix", ["module.", ""])
@pytest.mark.parametrize("part", ["network", "backbone", "backbone_of_a_network"])
def test_the_habits_of_other_trainers_are_undone(tmp_path: Path, part: str, prefix: str, wrapped: bool) -> None:
    source = build_network(model_params(), 7)
    tensors = source.state_dict()
    if part == "backbone":
        tensors = source.backbone.state_dict()
    elif part == "backbone_of_a_network":
        tensors = {name: tensor for name, tensor in tensors.items() if name.startswith("backbone.")}
    tensors = {prefix + name: tensor for name, tensor in tensors.items()}
    path = tmp_path / "checkpoint.pth"
    torch.save({"epoch": 3, "state_dict": tensors, "optimizer": {"state": {}}} if wrapped else tensors, path)
    loaded = build_network(model_params(weights=str(path)), 7).state_dict()
    for name, tensor in source.state_dict().items():
        if part == "network" or name.startswith("backbone."):
            assert torch.equal(tensor, loaded[name])


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
    found = r"head\.4\.weight \(7, 48, 1, 1\) for \(5, 48, 1, 1\), head.* 5 classes, keep its `backbone\.` tensors alone"
    with pytest.raises(ValueError, match=found):
        build_network(model_params(weights=str(path)), 5)


def test_a_checkpoint_of_another_network_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(build_network(SMALL_NETWORKS["deeplabv2"], 7).state_dict(), path)
    with pytest.raises(ValueError, match=r"tensors of the PSPNet - found .* missing: pyramid.*not expected: aspp\.0\."):
        build_network(model_params(weights=str(path)), 7)


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


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"network": "lraspp"}, "backbone is 'tiny', expected 'mobilenet_v3_large'"),
        (
            {"network": "lraspp", "backbone": "resnet50", "output_stride": 16},
            "backbone is 'resnet50', expected 'mobilenet_v3_large'",
        ),
        ({"network": "lraspp", "backbone": "mobilenet_v3_large", "output_stride": 16}, "auxiliary is true, expected false"),
        (
            {"network": "deeplabv3", "backbone": "mobilenet_v3_large"},
            "output_stride is 4, expected 16 for the backbone mobile",
        ),
        ({"backbone": "resnet18"}, "output_stride is 4, expected 8 or 16 or 32 for the backbone resnet18"),
        ({"output_stride": 32}, "output_stride is 32, expected 4 or 8 or 16 for the backbone tiny"),
        ({"weights": "imagenet"}, "weights is 'imagenet', expected none or a file: the backbone tiny has no ImageNet weights"),
    ],
)
def test_a_combination_that_cannot_be_is_one_line_of_advice(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    change_params(tmp_path, {f"model.{key}": value for key, value in changes.items()})
    with pytest.raises(ValueError, match="model") as error:
        read_params(tmp_path / "params.yaml")
    assert str(error.value).startswith(f"{tmp_path / 'params.yaml'} - model - ")
    assert named in str(error.value)
    assert str(error.value).endswith("- correct the value")
    assert "\n" not in str(error.value)
