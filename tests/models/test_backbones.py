import subprocess
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.models.backbones import build_backbone
from pipeline.models.build import build_network
from pipeline.models.resnet import _BasicBlock
from pipeline.runtime import import_torchvision
from tests.models.sections import count, model_params, noise, with_uneven_statistics
from tests.workspace import ROOT

torchvision = import_torchvision()


@pytest.mark.parametrize(("stride", "options"), [(8, [False, True, True]), (16, [False, False, True]), (32, [False] * 3)])
def test_dilate_builds_what_torchvision_builds_from_bottlenecks(stride: int, options: list[bool]) -> None:
    theirs = torchvision.models.resnet50(replace_stride_with_dilation=options)
    ours = build_backbone("resnet50", output_stride=stride)
    for name in ("layer1", "layer2", "layer3", "layer4"):
        assert repr(getattr(ours, name)) == repr(getattr(theirs, name))


def test_dilated_resnet50_gives_torchvisions_features() -> None:
    theirs = with_uneven_statistics(torchvision.models.resnet50(replace_stride_with_dilation=[False, True, True]))
    ours = build_backbone("resnet50", output_stride=8).eval()
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    with torch.no_grad():
        expected = noise(1, 3, 33, 41)
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3"):
            expected = getattr(theirs, name)(expected)
        *_, layer3, layer4 = ours(noise(1, 3, 33, 41))
        assert torch.equal(layer3, expected)
        assert torch.equal(layer4, theirs.layer4(expected))


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (50, 71)])
@pytest.mark.parametrize(("name", "stride", "natural"), [("tiny", 4, 16), ("tiny", 8, 16), ("resnet18", 8, 32)])
def test_a_dilated_network_contains_the_strided_one(name: str, stride: int, natural: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    strided = with_uneven_statistics(build_backbone(name, output_stride=natural))
    dilated = build_backbone(name, output_stride=stride).eval()
    dilated.load_state_dict(strided.state_dict())
    step = natural // stride
    with torch.no_grad():
        expected = strided(noise(1, 3, *size))[-1]
        # Sums of thousands of products, taken in another order.
        torch.testing.assert_close(dilated(noise(1, 3, *size))[-1][:, :, ::step, ::step], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "stride"), [("tiny", 4), ("tiny", 8), ("tiny", 16), ("resnet18", 8), ("resnet18", 16), ("resnet18", 32)]
)
def test_features_have_the_output_stride(name: str, stride: int) -> None:
    backbone = build_backbone(name, output_stride=stride).eval()
    with torch.no_grad():
        *_, layer3, layer4 = backbone(noise(1, 3, 64, 97))
    assert layer4.shape == (1, backbone.channels[-1], -(-64 // stride), -(-97 // stride))
    assert layer3.shape[1] == backbone.channels[-2]
    natural_at_layer3 = 8 if name == "tiny" else 16
    assert layer3.shape[2] == 64 // min(stride, natural_at_layer3)
    assert backbone.strides[-2:] == (min(stride, natural_at_layer3), stride)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_a_resnet_has_torchvisions_parameters_without_the_classifier(name: str) -> None:
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)()
        ours = build_backbone(name, output_stride=8)
    assert count(ours) == count(theirs) - count(theirs.fc)
    assert set(ours.state_dict()) == {name for name in theirs.state_dict() if not name.startswith("fc.")}
    assert ours.channels[-2:] == ((256, 512) if name in {"resnet18", "resnet34"} else (1024, 2048))


def test_mobilenet_has_torchvisions_parameters_without_the_classifier() -> None:
    with torch.device("meta"):
        theirs = torchvision.models.mobilenet_v3_large()
        ours = build_backbone("mobilenet_v3_large", output_stride=16)
    assert count(ours) == count(theirs.features)
    assert set(ours.state_dict()) == set(theirs.features.state_dict())


def test_mobilenet_gives_the_features_of_torchvisions_segmentation_networks() -> None:
    theirs = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None).backbone
    theirs = with_uneven_statistics(theirs)
    ours = build_backbone("mobilenet_v3_large", output_stride=16).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        low, high = ours(noise(1, 3, 50, 97))
        expected = theirs(noise(1, 3, 50, 97))
    assert torch.equal(low, expected["low"])
    assert torch.equal(high, expected["high"])
    assert (low.shape[1], high.shape[1]) == ours.channels
    assert tuple(low.shape[2:]) == (-(-50 // ours.strides[0]), -(-97 // ours.strides[0]))
    assert tuple(high.shape[2:]) == (-(-50 // ours.strides[1]), -(-97 // ours.strides[1]))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_large"])
def test_imagenet_weights_come_from_torchvisions_cache(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    theirs = getattr(torchvision.models, name)()
    url = torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(theirs.state_dict(), cache / url.rsplit("/", 1)[1])
    ours = build_network(
        model_params(network="deeplabv3", backbone=name, output_stride=16, weights="imagenet"), 2
    ).backbone.state_dict()
    prefix = "features." if name == "mobilenet_v3_large" else ""
    assert all(torch.equal(tensor, theirs.state_dict()[prefix + key]) for key, tensor in ours.items())


def test_without_a_network_imagenet_weights_are_one_line_of_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(ValueError, match=r"model\.weights - expected to fetch https.*no route to host.*to the file") as error:
        build_network(model_params(backbone="resnet18", output_stride=8, weights="imagenet"), 2)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("before", "width", "stride"), [(16, 16, 1), (16, 24, 2)])
def test_the_basic_block_is_torchvision_s(before: int, width: int, stride: int) -> None:
    def build(block: Any) -> torch.nn.Module:
        torch.manual_seed(0)
        shortcut = torch.nn.Conv2d(before, width, kernel_size=1, stride=stride) if before != width else None
        built: torch.nn.Module = block(before, width, stride, shortcut)
        return built

    ours, theirs = build(_BasicBlock), build(torchvision.models.resnet.BasicBlock)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in ours.state_dict().items())
    gradients: list[torch.Tensor] = []
    for block in (ours, theirs):
        images = noise(2, before, 9, 12).requires_grad_()
        features = 1.0 * images
        # A third use of the features: of three gradients the order of the sum shows.
        (block(features).square().mean() + features.sin().mean()).backward()
        assert images.grad is not None
        gradients.append(images.grad)
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(ours(noise(2, before, 9, 12)), theirs(noise(2, before, 9, 12)))


def test_the_default_network_needs_neither_torchvision_nor_timm() -> None:
    code = (
        "import sys; import stages.pretrain; from pipeline.params import read_params; from pathlib import Path;"
        " from pipeline.models.build import build_network; build_network(read_params(Path('params.yaml')).model, 3);"
        " assert not {'torchvision', 'timm', 'segmentation_models_pytorch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
