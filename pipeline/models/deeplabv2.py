"""DeepLabv2 (Chen et al., DeepLab: Semantic Image Segmentation with ..., TPAMI 2018): a backbone and four dilated classifiers."""

from collections.abc import Sequence

from torch import Tensor, nn

from pipeline.models.network import Backbone, SegmentationNetwork, build_auxiliary_head, initialize_convolutions
from pipeline.params import ModelParams

_DILATIONS = (6, 12, 18, 24)


class DeepLabV2(SegmentationNetwork):
    """A backbone and atrous spatial pyramid pooling: the sum of four 3x3 classifiers that look 6 to 24 features apart.

    All four branches are built; the paper's release returns inside its loop and so uses two. Not part of it: the fusion of
    image scales and the dense CRF of Chen et al. As in the release, weights and biases of the backbone's batch normalization stay
    as they start, while its statistics move.

    Reference:
        Table 2; the classifiers are those of Chen et al., Sec. 3.2, at the dilations of their "ASPP-L".
    """

    def __init__(self, backbone: Backbone, params: ModelParams, num_classes: int) -> None:
        """Put the classifiers on a backbone; their weights are drawn from torch's global generator."""
        super().__init__(backbone, num_classes)
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(requires_grad=False)
        channels = backbone.channels[-1]
        self.aspp = nn.ModuleList(
            nn.Conv2d(channels, num_classes, kernel_size=3, padding=dilation, dilation=dilation) for dilation in _DILATIONS
        )
        for branch in self.aspp:
            nn.init.normal_(branch.weight, std=0.01)  # type: ignore[arg-type] # a ModuleList forgets what it holds
            nn.init.zeros_(branch.bias)  # type: ignore[arg-type]
        self.auxiliary_head = build_auxiliary_head(backbone, params, num_classes)
        initialize_convolutions(self.auxiliary_head)

    def classify(self, features: Sequence[Tensor]) -> Tensor:
        """Return the sum of the four classifiers of the last level."""
        logits: Tensor = sum(branch(features[-1]) for branch in self.aspp)
        return logits
