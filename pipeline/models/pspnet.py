"""PSPNet (Zhao et al., Pyramid Scene Parsing Network, CVPR 2017): a backbone, pyramid pooling and an auxiliary head."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.backbones import Backbone, initialize_convolutions


class SegmentationOutput(NamedTuple):
    """What a segmentation network returns."""

    logits: Tensor
    """(N,C,H,W) at the size of the images; not normalized."""
    auxiliary_logits: Tensor | None
    """(N,C,H,W) of the auxiliary head; None in eval mode and for a network without one."""


class PSPNet(nn.Module):
    """The paper's segmentation network.

    A batch of one image trains: see `PooledBatchNorm2d`.

    Attributes:
        num_classes: C.

    Reference:
        Sec. 4.1, "Backbone"; the heads are those of Zhao et al., Sec. 3.2 and 3.3.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        num_classes: int,
        bins: tuple[int, ...],
        head_width: int,
        dropout: float,
        auxiliary: bool,
    ) -> None:
        """Put the heads on a backbone; their weights are drawn from torch's global generator.

        Args:
            backbone: gives the features of layer3 and layer4.
            num_classes: C.
            bins: grid sizes of the pyramid pooling.
            head_width: channels of the fused feature in front of the classifier.
            dropout: probability by which a channel in front of a classifier is dropped in training.
            auxiliary: also classify layer3 in training.
        """
        super().__init__()
        layer3, layer4 = backbone.channels
        self.num_classes = num_classes
        self.backbone = backbone
        self.pyramid = PyramidPooling(layer4, bins)
        self.head = _head(self.pyramid.channels, head_width, num_classes, dropout=dropout)
        self.auxiliary_head = _head(layer3, layer3 // 4, num_classes, dropout=dropout) if auxiliary else None
        for module in self._heads():
            initialize_convolutions(module)

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Return the logits of every pixel.

        Args:
            images: (N,3,H,W), float32; any H and W.
        """
        layer3, layer4 = self.backbone(images)
        size = (images.shape[2], images.shape[3])
        logits = self._upsample(self.head(self.pyramid(layer4)), size)
        if self.auxiliary_head is None or not self.training:
            return SegmentationOutput(logits, None)
        return SegmentationOutput(logits, self._upsample(self.auxiliary_head(layer3), size))

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that train at the base learning rate."""
        return self.backbone.parameters()

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Yield all other parameters: pyramid pooling, classifier and auxiliary head."""
        for module in self._heads():
            yield from module.parameters()

    def _heads(self) -> list[nn.Module]:
        return [module for module in (self.pyramid, self.head, self.auxiliary_head) if module is not None]

    def _upsample(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        # At an output stride s, features are centered on the pixels 0, s, 2s, ... In crops of 361 or 713 pixels the last
        # one falls on the last pixel, and PSPNet's aligned corners put every logit back exactly where it was computed. In
        # any other size they would stretch the map, differently for crops and for whole images. So the map is always
        # upsampled by exactly s; past the last feature its logits are repeated.
        stride = self.backbone.output_stride
        logits = torch.cat([logits, logits[:, :, -1:]], dim=2)
        logits = torch.cat([logits, logits[:, :, :, -1:]], dim=3)
        full = (stride * (logits.shape[2] - 1) + 1, stride * (logits.shape[3] - 1) + 1)
        upsampled = functional.interpolate(logits, size=full, mode="bilinear", align_corners=True)
        return upsampled[:, :, : size[0], : size[1]]


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization that also takes one value per channel in training.

    The 1x1 bin of a batch of one image has a single value per channel and so no variance; torch refuses it. Such a
    batch is normalized by the running statistics, as in eval mode, and leaves them as they are. Any other batch is
    treated as by `nn.BatchNorm2d`, and `nn.SyncBatchNorm.convert_sync_batchnorm` converts this class like it.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name of the argument
        """Normalize (N,channels,h,w)."""
        if self.training and input.numel() == self.num_features:
            return functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)


class PyramidPooling(nn.Module):
    """Features beside their averages over grids of several sizes.

    Attributes:
        channels: channels of the result.
    """

    def __init__(self, channels: int, bins: tuple[int, ...]) -> None:
        """Build one branch per grid size; together they have about as many channels as the features."""
        super().__init__()
        width = channels // len(bins)
        self.channels = channels + width * len(bins)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(grid),
                nn.Conv2d(channels, width, kernel_size=1, bias=False),
                PooledBatchNorm2d(width),
                nn.ReLU(inplace=True),
            )
            for grid in bins
        )

    def forward(self, features: Tensor) -> Tensor:
        """Concatenate (N,channels,h,w) with its pooled branches at the same size."""
        # Aligned corners as in the authors' own code, although a bin is the mean of an area and no value at a corner.
        pooled = [
            functional.interpolate(branch(features), size=features.shape[2:], mode="bilinear", align_corners=True)
            for branch in self.branches
        ]
        return torch.cat([features, *pooled], dim=1)


def _head(channels: int, width: int, num_classes: int, *, dropout: float) -> nn.Sequential:
    """Build a 3x3 convolution and a classifier."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Dropout2d(dropout),
        nn.Conv2d(width, num_classes, kernel_size=1),
    )
