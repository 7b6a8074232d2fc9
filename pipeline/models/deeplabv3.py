"""DeepLabv3 (Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017) with torchvision's heads."""

from torch import Tensor
from torch.nn import functional

from pipeline.models.network import Backbone, PooledBatchNorm2d, SegmentationNetwork, SegmentationOutput
from pipeline.runtime import torchvision


class DeepLabV3(SegmentationNetwork):
    """A backbone and torchvision's `DeepLabHead`, under the names of torchvision's `deeplabv3_*`, whose files fit.

    In eval mode it gives torchvision's logits. A batch of one image trains: see `PooledBatchNorm2d`.

    Reference:
        Chen et al., Sec. 3.3, Fig. 5; torchvision's dilations are those of output stride 8: 12, 24 and 36.
    """

    def __init__(self, backbone: Backbone, *, num_classes: int, auxiliary: bool) -> None:
        """Put the heads on a backbone; their weights are drawn from torch's global generator.

        Args:
            backbone: gives the features of layer3 and layer4.
            num_classes: C.
            auxiliary: also classify layer3 in training.
        """
        super().__init__(backbone, num_classes=num_classes)
        layer3, layer4 = backbone.channels
        segmentation = torchvision.models.segmentation
        self.classifier = segmentation.deeplabv3.DeepLabHead(layer4, num_classes)
        pooling = self.classifier[0].convs[-1]
        pooling[2] = PooledBatchNorm2d(pooling[2].num_features)
        self.aux_classifier = segmentation.fcn.FCNHead(layer3, num_classes) if auxiliary else None

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Return the logits of every pixel.

        Args:
            images: (N,3,H,W), float32; any H and W.
        """
        layer3, layer4 = self.backbone(images)
        logits = resize_like(self.classifier(layer4), images)
        if self.aux_classifier is None or not self.training:
            return SegmentationOutput(logits, None)
        return SegmentationOutput(logits, resize_like(self.aux_classifier(layer3), images))


def resize_like(logits: Tensor, images: Tensor) -> Tensor:
    """Resize (N,C,h,w) to the size of the images as torchvision does: the edges of both maps coincide."""
    return functional.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False)
