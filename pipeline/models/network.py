"""What every segmentation network is: a backbone, heads, logits at the size of the images; and the parts that several share."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.normalization import IMAGENET, Normalization
from pipeline.params import ModelParams


class SegmentationOutput(NamedTuple):
    """What a segmentation network returns."""

    logits: Tensor
    """(N,C,H,W) at the size of the images; not normalized."""
    auxiliary_logits: Tensor | None
    """(N,C,H,W) of the auxiliary head; None in eval mode and for a network without one."""


Upsample = Callable[[Tensor, int, tuple[int, int]], Tensor]
"""From (N,C,h,w) logits, pixels per logit and the size of the images to logits at that size."""


class Backbone(nn.Module, ABC):
    """The part that pretrained weights load into; it gives a pyramid of features, from shallow to deep.

    Attributes:
        channels: of each level; two levels at least.
        strides: input pixels per feature of each level, along each axis; they never fall.
        multiple: images must be so many pixels high and wide, or a multiple of it; 1 = any size.
        normalization: that of the images for which its weights were learned.
        licence: of the pretrained weights that it starts from; None = it starts from random ones.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    multiple: int = 1
    normalization: Normalization = IMAGENET
    licence: str | None = None

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters by layer, from shallow to deep, each in one; empty where no layers are named."""
        return []

    def own_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file of the library that defines the backbone under its own names; the classifier goes."""
        return dict(tensors)

    @abstractmethod
    def forward(self, images: Tensor) -> Sequence[Tensor]:
        """Return the features of each level.

        Args:
            images: (N,3,H,W), float32.

        Returns:
            Maps (N,channels,ceil(H/s),ceil(W/s)) at strides s. Where `multiple` is 1, feature (i, j) is centered on the pixel
            (i*s, j*s); else it stands for the cell of s times s pixels that begins there.
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
        stride: pixels per logit of `classify`, along each axis.
        auxiliary_head: classifies the last level but one, in training alone; None = a subclass has set none.
        multiple: images are padded below and to the right, with the mean color, to multiples of so many pixels.
    """

    def __init__(self, backbone: Backbone, num_classes: int, upsample: Upsample | None = None) -> None:
        """Take the backbone; a subclass adds the heads.

        Args:
            backbone: with its first weights.
            num_classes: C.
            upsample: from logits to pixels; None = as the backbone's features lie.
        """
        super().__init__()
        self.backbone = backbone
        self.num_classes = num_classes
        self.stride = backbone.strides[-1]
        self.multiple = backbone.multiple
        self.auxiliary_head: nn.Module | None = None
        self._upsample = upsample or (upsample_by_stride if backbone.multiple == 1 else upsample_to_edges)

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Return the logits of every pixel.

        Args:
            images: (N,3,H,W), float32; any H and W.
        """
        height, width = images.shape[2:]
        below, right = -height % self.multiple, -width % self.multiple
        padded = functional.pad(images, (0, right, 0, below)) if below or right else images
        features = self.backbone(padded)
        size = (height + below, width + right)
        logits = self._upsample(self.classify(features), self.stride, size)
        auxiliary = self.classify_auxiliary(features) if self.training else None
        if auxiliary is not None:
            auxiliary = self._upsample(auxiliary, self.backbone.strides[-2], size)
        if below or right:
            logits = logits[:, :, :height, :width]
            auxiliary = None if auxiliary is None else auxiliary[:, :, :height, :width]
        return SegmentationOutput(logits, auxiliary)

    @abstractmethod
    def classify(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits (N,C,h,w) from the pyramid of the backbone; one per `stride` where they are upsampled by it."""

    def classify_auxiliary(self, features: Sequence[Tensor]) -> Tensor | None:
        """Return the logits (N,C,h,w) of the auxiliary head, one per feature of the last level but one; None without one."""
        return None if self.auxiliary_head is None else self.auxiliary_head(features[-2])

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


def build_auxiliary_head(backbone: Backbone, params: ModelParams, num_classes: int) -> nn.Module | None:
    """Build the head of the last level but one, as Zhao et al. do (PSPNet, Sec. 3.3); None where `model.auxiliary` is off."""
    channels = backbone.channels[-2]
    return build_head(channels, channels // 4, num_classes, dropout=params.dropout) if params.auxiliary else None


def initialize_convolutions(*modules: nn.Module | None) -> None:
    """Draw the weights of all convolutions after He et al. (fan-in) from torch's global generator; biases are 0."""
    for child in itertools.chain.from_iterable(module.modules() for module in modules if module is not None):
        if isinstance(child, nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_in", nonlinearity="relu")
            if child.bias is not None:
                nn.init.zeros_(child.bias)
