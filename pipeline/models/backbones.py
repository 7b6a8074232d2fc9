"""Backbones by name: the tiny one, torchvision's, and any of timm."""

from pipeline.models.mobilenet import MobileBackbone
from pipeline.models.network import Backbone
from pipeline.models.resnet import ResidualBackbone, build_tiny
from pipeline.params import TORCHVISION_BACKBONES
from pipeline.runtime import import_torchvision


def build_backbone(name: str, *, output_stride: int) -> Backbone:
    """Build a backbone with random weights from torch's global generator.

    Args:
        name: `tiny`, `resnet18`, `resnet34`, `resnet50`, `resnet101`, `mobilenet_v3_large`, or a model of timm.
        output_stride: input pixels per feature of the last level, one that the backbone can have.

    Raises:
        ValueError: timm does not know it, or cannot build it with that stride.
    """
    if name == "tiny":
        return build_tiny(output_stride)
    if name not in TORCHVISION_BACKBONES:
        # Here, so that networks of other backbones do not wait for it.
        from pipeline.models.timm_backbone import TimmBackbone

        return TimmBackbone(name, output_stride)
    models = import_torchvision().models
    if name == "mobilenet_v3_large":
        assert output_stride == 16
        return MobileBackbone(models.mobilenet_v3_large(dilated=True).features)
    classifier = getattr(models, name)()
    layers = [classifier.layer1, classifier.layer2, classifier.layer3, classifier.layer4]
    stem = (classifier.conv1, classifier.bn1, classifier.maxpool)
    return ResidualBackbone(stem, layers, stride=4, output_stride=output_stride)
