"""DeepLabv3 and LR-ASPP are torchvision's: the same parameters, names and logits."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.models.build import build_network
from pipeline.params import ModelParams
from pipeline.runtime import import_torchvision
from tests.models.sections import count, model_params, noise, with_uneven_statistics

torchvision = import_torchvision()

DEEPLAB = {"network": "deeplabv3", "output_stride": 8}
# By torchvision's name: what to build here, and torchvision's published weights.
TWINS: dict[str, tuple[ModelParams, str]] = {
    "deeplabv3_resnet50": (model_params(**DEEPLAB, backbone="resnet50"), "DeepLabV3_ResNet50_Weights"),
    "deeplabv3_resnet101": (model_params(**DEEPLAB, backbone="resnet101"), "DeepLabV3_ResNet101_Weights"),
    "deeplabv3_mobilenet_v3_large": (
        model_params(network="deeplabv3", output_stride=16, backbone="mobilenet_v3_large"),
        "DeepLabV3_MobileNet_V3_Large_Weights",
    ),
    "lraspp_mobilenet_v3_large": (
        model_params(network="lraspp", output_stride=16, backbone="mobilenet_v3_large", auxiliary=False),
        "LRASPP_MobileNet_V3_Large_Weights",
    ),
}


def theirs(name: str, params: ModelParams, num_classes: int) -> nn.Module:
    options = {} if params.network == "lraspp" else {"aux_loss": params.auxiliary}
    built = getattr(torchvision.models.segmentation, name)(weights_backbone=None, num_classes=num_classes, **options)
    assert isinstance(built, nn.Module)
    return built


@pytest.mark.parametrize("name", TWINS)
def test_a_network_has_as_many_parameters_as_torchvision_documents(name: str) -> None:
    params, weights = TWINS[name]
    meta = getattr(torchvision.models.segmentation, weights).COCO_WITH_VOC_LABELS_V1.meta
    with torch.device("meta"):
        network = build_network(params, len(meta["categories"]))
        assert count(network) == meta["num_params"]
        shapes = {key: tensor.shape for key, tensor in theirs(name, params, 21).state_dict().items()}
    assert {key: tensor.shape for key, tensor in network.state_dict().items()} == shapes


@pytest.mark.parametrize("name", [name for name in TWINS if name != "deeplabv3_resnet101"])
def test_a_file_of_torchvision_gives_torchvision_s_logits(name: str, tmp_path: Path) -> None:
    params, _ = TWINS[name]
    torch.manual_seed(0)
    expected = with_uneven_statistics(theirs(name, params, 7))
    path = tmp_path / "theirs.pth"
    torch.save(expected.state_dict(), path)
    network = build_network(params.model_copy(update={"weights": str(path)}), 7).eval()
    for size in ((65, 97), (50, 71)):
        with torch.no_grad():
            assert torch.equal(network(noise(1, 3, *size)).logits, expected(noise(1, 3, *size))["out"])


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large"])
def test_the_auxiliary_head_gives_torchvision_s_logits(name: str) -> None:
    params, _ = TWINS[name]
    torch.manual_seed(0)
    expected = theirs(name, params, 7)
    network = build_network(params, 7)
    network.load_state_dict(expected.state_dict())
    for module in (*network.modules(), *expected.modules()):
        if isinstance(module, nn.BatchNorm2d | nn.Dropout):
            module.eval()
    with torch.no_grad():
        images = noise(2, 3, 65, 97)
        assert torch.equal(network(images).auxiliary_logits, expected(images)["aux"])


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "lraspp_mobilenet_v3_large"])
def test_training_updates_the_same_statistics_as_torchvision(name: str) -> None:
    params, _ = TWINS[name]
    torch.manual_seed(0)
    expected = theirs(name, params, 3)
    network = build_network(params, 3)
    network.load_state_dict(expected.state_dict())
    for module in (network, expected):
        torch.manual_seed(1)  # of the dropout
        with torch.no_grad():
            module(noise(2, 3, 33, 49))
    for key, tensor in expected.state_dict().items():
        assert torch.equal(network.state_dict()[key], tensor), key
