"""Backbones by name, from scratch or with torchvision's ImageNet weights."""

from torch import Tensor

from pipeline.models.mobilenet import MobileBackbone
from pipeline.models.network import Backbone
from pipeline.models.resnet import ResidualBackbone, build_tiny
from pipeline.runtime import torchvision


def build_backbone(name: str, *, output_stride: int, weights: str) -> Backbone:
    """Build a backbone.

    Args:
        name: `tiny`, `resnet18`, `resnet34`, `resnet50`, `resnet101` or `mobilenet_v3_large`.
        output_stride: input pixels per feature, one that `ModelParams` allows for the backbone.
        weights: `none` (random, from torch's global generator) or `imagenet` (torchvision's IMAGENET1K_V1).

    Raises:
        ValueError: the ImageNet weights could not be fetched.
    """
    assert weights in {"none", "imagenet"}
    if name == "tiny":
        assert weights == "none"
        return build_tiny(output_stride)
    mobile = name == "mobilenet_v3_large"
    classifier = getattr(torchvision.models, name)(**({"dilated": True} if mobile else {}))
    if weights == "imagenet":
        classifier.load_state_dict(_read_imagenet_weights(name))
    if mobile:
        assert output_stride == 16
        return MobileBackbone(classifier.features)
    layers = [classifier.layer1, classifier.layer2, classifier.layer3, classifier.layer4]
    stem = (classifier.conv1, classifier.bn1, classifier.maxpool)
    return ResidualBackbone(stem, layers, stride=4, output_stride=output_stride)


def _read_imagenet_weights(name: str) -> dict[str, Tensor]:
    """Return torchvision's ImageNet state dict from its cache or from the network."""
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network, no room on the disk, a wrong hash
        raise ValueError(
            f"model.weights - expected to fetch {weights.url} for imagenet - found {' '.join(str(error).split())}"
            " - download it elsewhere and set model.weights to the file, or to none"
        ) from error
    return state
