"""DeepLabv3 (Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017) with torchvision's heads."""

from collections.abc import Sequence

from torch import Tensor

from pipeline.models.network import Backbone, PooledBatchNorm2d, SegmentationNetwork, upsample_to_edges
from pipeline.params import ModelParams
from pipeline.runtime import import_torchvision


class DeepLabV3(SegmentationNetwork):
    """A backbone and torchvision's `DeepLabHead`, under the names of torchvision's `deeplabv3_*`, whose files fit.

    In eval mode it gives torchvision's logits. A batch of one image trains: see `PooledBatchNorm2d`.

    Reference:
        Chen et al., Sec. 3.3, Fig. 5; torchvision's dilations are those of output stride 8: 12, 24 and 36.
    """

    def __init__(self, backbone: Backbone, params: ModelParams, num_classes: int) -> None:
        """Put the heads on a backbone; their weights are drawn from torch's global generator."""
        super().__init__(backbone, num_classes, upsample_to_edges)
        layer3, layer4 = backbone.channels[-2:]
        segmentation = import_torchvision().models.segmentation
        self.classifier = segmentation.deeplabv3.DeepLabHead(layer4, num_classes)
        pooling = self.classifier[0].convs[-1]
        pooling[2] = PooledBatchNorm2d(pooling[2].num_features)
        self.aux_classifier = segmentation.fcn.FCNHead(layer3, num_classes) if params.auxiliary else None

    def classify(self, features: Sequence[Tensor]) -> Tensor:
        """Classify the last level beside its dilated and pooled convolutions."""
        logits: Tensor = self.classifier(features[-1])
        return logits

    def classify_auxiliary(self, features: Sequence[Tensor]) -> Tensor | None:
        """Classify the last level but one."""
        return None if self.aux_classifier is None else self.aux_classifier(features[-2])
