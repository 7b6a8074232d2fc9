"""PSPNet (Zhao et al., Pyramid Scene Parsing Network, CVPR 2017): a backbone, pyramid pooling and an auxiliary head."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.network import (
    Backbone,
    PooledBatchNorm2d,
    SegmentationNetwork,
    build_auxiliary_head,
    build_head,
    initialize_convolutions,
)
from pipeline.params import ModelParams


class PSPNet(SegmentationNetwork):
    """The paper's segmentation network.

    A batch of one image trains: see `PooledBatchNorm2d`.

    Reference:
        Sec. 4.1, "Backbone"; the heads are those of Zhao et al., Sec. 3.2 and 3.3.
    """

    def __init__(self, backbone: Backbone, params: ModelParams, num_classes: int) -> None:
        """Put the heads on a backbone; their weights are drawn from torch's global generator."""
        super().__init__(backbone, num_classes)
        self.pyramid = PyramidPooling(backbone.channels[-1], params.bins)
        self.head = build_head(self.pyramid.channels, params.head_width, num_classes, dropout=params.dropout)
        self.auxiliary_head = build_auxiliary_head(backbone, params, num_classes)
        initialize_convolutions(self.pyramid, self.head, self.auxiliary_head)

    def classify(self, features: Sequence[Tensor]) -> Tensor:
        """Classify the last level beside its pooled averages."""
        logits: Tensor = self.head(self.pyramid(features[-1]))
        return logits


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
