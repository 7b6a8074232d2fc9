"""Residual networks that return the feature maps of their last two layers at a chosen output stride."""

import itertools
from collections.abc import Iterable

from torch import Tensor, nn

from pipeline.runtime import torchvision

# Output strides that each backbone can serve: from its natural stride down to all but the first layers dilated.
_OUTPUT_STRIDES = {
    "tiny": (4, 8, 16),
    "resnet18": (8, 16, 32),
    "resnet34": (8, 16, 32),
    "resnet50": (8, 16, 32),
    "resnet101": (8, 16, 32),
}
_TINY_WIDTHS = (16, 24, 32, 48)


class Backbone(nn.Module):
    """A stem and four residual layers, under torchvision's parameter names.

    Attributes:
        channels: channels of layer3 and of layer4.
        output_stride: input pixels per feature of layer4, along each axis.
    """

    def __init__(
        self,
        *,
        conv1: nn.Module,
        bn1: nn.Module,
        maxpool: nn.Module,
        layers: Iterable[nn.Module],
        stride: int,
        output_stride: int,
    ) -> None:
        """Join the parts and dilate the layers.

        Args:
            conv1: first convolution.
            bn1: its normalization.
            maxpool: pooling of the stem, or the identity.
            layers: layer1 to layer4, each a sequence of residual blocks; all but the first halve the size.
            stride: input pixels per feature behind layer1.
            output_stride: input pixels per feature behind layer4 that is asked for.
        """
        super().__init__()
        self.conv1 = conv1
        self.bn1 = bn1
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.channels = (_out_channels(self.layer3), _out_channels(self.layer4))
        self.output_stride = output_stride
        dilate((self.layer2, self.layer3, self.layer4), stride=stride, output_stride=output_stride)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of layer3 and layer4.

        Args:
            images: (N,3,H,W), float32.

        Returns:
            Two maps (N,channels,ceil(H/s),ceil(W/s)) at strides s; feature (i, j) is centered on the pixel (i*s, j*s).
        """
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        layer3: Tensor = self.layer3(self.layer2(self.layer1(features)))
        layer4: Tensor = self.layer4(layer3)
        return layer3, layer4


def build_backbone(name: str, *, output_stride: int, weights: str) -> Backbone:
    """Build a backbone.

    Args:
        name: `tiny`, `resnet18`, `resnet34`, `resnet50` or `resnet101`.
        output_stride: input pixels per feature; 4, 8 or 16 for `tiny`, 8, 16 or 32 for the others.
        weights: `none` (random, from torch's global generator) or `imagenet` (torchvision's IMAGENET1K_V1).

    Raises:
        ValueError: the backbone has no such output stride or no ImageNet weights, or these could not be fetched.
    """
    strides = _OUTPUT_STRIDES[name]
    if output_stride not in strides:
        raise ValueError(
            f"model.output_stride - expected one of {', '.join(map(str, strides))} for the backbone {name}"
            f" - found {output_stride} - change it or the backbone"
        )
    assert weights in {"none", "imagenet"}
    if name == "tiny":
        if weights == "imagenet":
            raise ValueError(
                "model.weights - expected none or a file for the backbone tiny, which has no ImageNet weights"
                " - found imagenet - set it to none or choose a ResNet"
            )
        return _build_tiny(output_stride)
    network = getattr(torchvision.models, name)()
    if weights == "imagenet":
        network.load_state_dict(_read_imagenet_weights(name))
    layers = (network.layer1, network.layer2, network.layer3, network.layer4)
    return Backbone(
        conv1=network.conv1,
        bn1=network.bn1,
        maxpool=network.maxpool,
        layers=layers,
        stride=4,
        output_stride=output_stride,
    )


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


def initialize_convolutions(module: nn.Module) -> None:
    """Draw the weights of all convolutions after He et al. (fan-in) from torch's global generator; biases are 0."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_in", nonlinearity="relu")
            if child.bias is not None:
                nn.init.zeros_(child.bias)


def _build_tiny(output_stride: int) -> Backbone:
    """Build a network of one BasicBlock per layer, small enough to train on a CPU in a minute."""
    first = _TINY_WIDTHS[0]
    layers = [_tiny_layer(first, first, stride=1)]
    layers += [_tiny_layer(before, width, stride=2) for before, width in itertools.pairwise(_TINY_WIDTHS)]
    conv1 = nn.Conv2d(3, first, kernel_size=3, stride=2, padding=1, bias=False)
    backbone = Backbone(
        conv1=conv1,
        bn1=nn.BatchNorm2d(first),
        maxpool=nn.Identity(),
        layers=layers,
        stride=2,
        output_stride=output_stride,
    )
    initialize_convolutions(backbone)
    return backbone


def _tiny_layer(before: int, width: int, *, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or before != width:
        shortcut = nn.Sequential(nn.Conv2d(before, width, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(width))
    return nn.Sequential(torchvision.models.resnet.BasicBlock(before, width, stride, shortcut))


def _out_channels(layer: nn.Module) -> int:
    """Return the channels behind a residual layer: those of its last normalization."""
    return [module.num_features for module in layer.modules() if isinstance(module, nn.BatchNorm2d)][-1]


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
