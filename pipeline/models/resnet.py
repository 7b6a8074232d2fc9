"""Residual backbones: torchvision's ResNets and a tiny one, at a chosen output stride."""

import itertools
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from pipeline.models.network import Backbone, initialize_convolutions

_TINY_WIDTHS = (16, 24, 32, 48)


class ResidualBackbone(Backbone):
    """A stem and four residual layers, under torchvision's parameter names; gives the features of all four layers."""

    def __init__(self, stem: Iterable[nn.Module], layers: Iterable[nn.Module], *, stride: int, output_stride: int) -> None:
        """Join the parts and dilate the layers.

        Args:
            stem: first convolution, its normalization, and pooling or the identity.
            layers: layer1 to layer4, each a sequence of residual blocks; all but the first halve the size.
            stride: input pixels per feature behind layer1.
            output_stride: input pixels per feature behind layer4 that is asked for.
        """
        super().__init__()
        self.conv1, self.bn1, self.maxpool = stem
        self.relu = nn.ReLU(inplace=True)
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        layers = (self.layer1, self.layer2, self.layer3, self.layer4)
        self.channels = tuple(map(_out_channels, layers))
        self.strides = tuple(min(stride << place, output_stride) for place in range(len(layers)))
        dilate((self.layer2, self.layer3, self.layer4), stride=stride, output_stride=output_stride)

    def own_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file of torchvision without those of the classifier."""
        return {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of layer1 to layer4."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        pyramid: list[Tensor] = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = layer(features)
            pyramid.append(features)
        return pyramid


def build_tiny(output_stride: int) -> ResidualBackbone:
    """Build a network of one BasicBlock per layer, small enough to train on a CPU in a minute.

    Args:
        output_stride: 4, 8 or 16.
    """
    first = _TINY_WIDTHS[0]
    layers = [_tiny_layer(first, first, stride=1)]
    layers += [_tiny_layer(before, width, stride=2) for before, width in itertools.pairwise(_TINY_WIDTHS)]
    conv1 = nn.Conv2d(3, first, kernel_size=3, stride=2, padding=1, bias=False)
    stem = (conv1, nn.BatchNorm2d(first), nn.Identity())
    backbone = ResidualBackbone(stem, layers, stride=2, output_stride=output_stride)
    initialize_convolutions(backbone)
    return backbone


def dilate(layers: Iterable[nn.Module], *, stride: int, output_stride: int) -> None:
    """Replace strides by dilation, in place, once the output stride is reached.

    A convolution whose stride is dropped keeps the dilation of its input; all that follow look twice as far apart. So
    the dilated network contains the strided one: in eval mode, every second of its features is the same number. With
    Bottleneck blocks this is what torchvision's `replace_stride_with_dilation` builds, an option that torchvision
    refuses for the BasicBlock of ResNet-18 and 34.

    Args:
        layers: sequences of residual blocks, each of which halves the size.
        stride: input pixels per feature in front of `layers`.
        output_stride: input pixels per feature behind them, at most the natural one.
    """
    dilation = 1
    for layer in layers:
        if stride < output_stride:
            stride *= 2
            continue
        for module in layer.modules():
            if not isinstance(module, nn.Conv2d):
                continue
            reach = dilation if module.stride == (2, 2) else 2 * dilation
            module.stride = (1, 1)
            if module.kernel_size == (3, 3):
                module.dilation = module.padding = (reach, reach)
        dilation *= 2


def _tiny_layer(before: int, width: int, *, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or before != width:
        shortcut = nn.Sequential(nn.Conv2d(before, width, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(width))
    return nn.Sequential(_BasicBlock(before, width, stride, shortcut))


class _BasicBlock(nn.Module):
    """Torchvision's `BasicBlock`, under its names: two convolutions beside a shortcut.

    It stands here because torchvision takes longer to import than the default network to build; a test holds the two together.

    Reference:
        He et al., Deep Residual Learning for Image Recognition, CVPR 2016, Fig. 5, left.
    """

    def __init__(self, before: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, features: Tensor) -> Tensor:
        """Return (N,width,h,w)."""
        activated: Tensor = self.relu(self.bn1(self.conv1(features)))
        summed: Tensor = self.bn2(self.conv2(activated))
        # Behind the convolutions, as in torchvision: gradients are summed in the order of the calls.
        summed += features if self.downsample is None else self.downsample(features)
        result: Tensor = self.relu(summed)
        return result


def _out_channels(layer: nn.Module) -> int:
    """Return the channels behind a residual layer: those of its last normalization."""
    return [module.num_features for module in layer.modules() if isinstance(module, nn.BatchNorm2d)][-1]
