"""What every segmentation network is: a backbone, heads, logits at the size of the images; and the parts that several share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class SegmentationOutput(NamedTuple):
    """What a segmentation network returns."""

    logits: Tensor
    """(N,C,H,W) at the size of the images; not normalized."""
    auxiliary_logits: Tensor | None
    """(N,C,H,W) of the auxiliary head; None in eval mode and for a network without one."""


Upsample = Callable[[Tensor, int, tuple[int, int]], Tensor]
"""From (N,C,h,w) logits, pixels per logit and the size of the images to logits at that size."""


class Backbone(nn.Module, ABC):
    """The part that weights learned on ImageNet load into; it gives features at two depths.

    Attributes:
        channels: of the shallow features (layer3 of a ResNet) and of the deep ones (layer4).
        strides: input pixels per feature of each, along each axis.
    """

    channels: tuple[int, int]
    strides: tuple[int, int]

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shallow and the deep features.

        Args:
            images: (N,3,H,W), float32.

        Returns:
            Two maps (N,channels,ceil(H/s),ceil(W/s)) at strides s; feature (i, j) is centered on the pixel (i*s, j*s).
        """


def upsample_by_stride(logits: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Upsample (N,C,h,w) by exactly `stride` to (N,C,*size); every logit stays on the pixel where it was computed."""
    # At an output stride s, features are centered on the pixels 0, s, 2s, ... In crops of 361 or 713 pixels the last
    # one falls on the last pixel, and PSPNet's aligned corners put every logit back exactly where it was computed. In
    # any other size they would stretch the map, differently for crops and for whole images. So the map is always
    # upsampled by exactly s; past the last feature its logits are repeated.
    logits = torch.cat([logits, logits[:, :, -1:]], dim=2)
    logits = torch.cat([logits, logits[:, :, :, -1:]], dim=3)
    full = (stride * (logits.shape[2] - 1) + 1, stride * (logits.shape[3] - 1) + 1)
    upsampled = functional.interpolate(logits, size=full, mode="bilinear", align_corners=True)
    return upsampled[:, :, : size[0], : size[1]]


def upsample_to_edges(logits: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Upsample (N,C,h,w) to (N,C,*size) as torchvision's networks do: the edges of both maps coincide, whatever the stride."""
    del stride
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


class SegmentationNetwork(nn.Module, ABC):
    """A backbone and heads: all that training, inference and checkpoints know of a network.

    Attributes:
        backbone: its tensors are named `backbone.*`, in every network.
        num_classes: C.
    """

    def __init__(self, backbone: Backbone, num_classes: int, upsample: Upsample = upsample_by_stride) -> None:
        """Take the backbone; a subclass adds the heads."""
        super().__init__()
        self.backbone = backbone
        self.num_classes = num_classes
        self._upsample = upsample

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Return the logits of every pixel.

        Args:
            images: (N,3,H,W), float32; any H and W.
        """
        shallow, deep = self.backbone(images)
        shallow_stride, deep_stride = self.backbone.strides
        size = (images.shape[2], images.shape[3])
        logits = self._upsample(self.classify(shallow, deep), deep_stride, size)
        auxiliary = self.classify_auxiliary(shallow) if self.training else None
        return SegmentationOutput(logits, None if auxiliary is None else self._upsample(auxiliary, shallow_stride, size))

    @abstractmethod
    def classify(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """Return logits (N,C,h,w) from the features of the backbone; one per deep feature where they are upsampled by stride."""

    def classify_auxiliary(self, shallow: Tensor) -> Tensor | None:
        """Return the logits (N,C,h,w) of the auxiliary head from the shallow features; None of a network without one."""
        del shallow
        return None

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that train at the base learning rate."""
        return self.backbone.parameters()

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Yield all other parameters, in the order of the state dict."""
        return (parameter for name, parameter in self.named_parameters() if not name.startswith("backbone."))


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization that also takes one value per channel in training.

    Where a batch of one image is pooled to one value per channel, that value has no variance; torch refuses it. Such a
    batch is normalized by the running statistics, as in eval mode, and leaves them as they are. Any other batch is
    treated as by `nn.BatchNorm2d`, and `nn.SyncBatchNorm.convert_sync_batchnorm` converts this class like it.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name of the argument
        """Normalize (N,channels,h,w)."""
        if self.training and input.numel() == self.num_features:
            return functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)


def build_head(channels: int, width: int, num_classes: int, *, dropout: float) -> nn.Sequential:
    """Build a 3x3 convolution to `width` channels and a classifier."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Dropout2d(dropout),
        nn.Conv2d(width, num_classes, kernel_size=1),
    )


def initialize_convolutions(module: nn.Module) -> None:
    """Draw the weights of all convolutions after He et al. (fan-in) from torch's global generator; biases are 0."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_in", nonlinearity="relu")
            if child.bias is not None:
                nn.init.zeros_(child.bias)
