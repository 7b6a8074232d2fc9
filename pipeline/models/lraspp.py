"""LR-ASPP (Howard et al., Searching for MobileNetV3, ICCV 2019) with torchvision's head: a network for small machines."""

from collections.abc import Sequence

from torch import Tensor

from pipeline.models.network import Backbone, SegmentationNetwork, upsample_to_edges
from pipeline.params import ModelParams
from pipeline.runtime import import_torchvision

_WIDTH = 128  # channels of the pooled features, torchvision's


class LRASPP(SegmentationNetwork):
    """A backbone and torchvision's `LRASPPHead`, under the names of torchvision's `lraspp_mobilenet_v3_large`, whose files fit.

    In eval mode it gives torchvision's logits. It has no auxiliary head. A batch of one image trains: its pooled branch is
    not normalized.

    Reference:
        Howard et al., Sec. 6.4, Fig. 10.
    """

    def __init__(self, backbone: Backbone, params: ModelParams, num_classes: int) -> None:
        """Put the head on a backbone of strides 8 and 16; its weights are drawn from torch's global generator."""
        assert not params.auxiliary
        super().__init__(backbone, num_classes, upsample_to_edges)
        head = import_torchvision().models.segmentation.lraspp.LRASPPHead
        self.classifier = head(*backbone.channels, num_classes, _WIDTH)

    def classify(self, features: Sequence[Tensor]) -> Tensor:
        """Classify the pooled deep features and the shallow ones; the logits have the size of these."""
        shallow, deep = features
        logits: Tensor = self.classifier({"low": shallow, "high": deep})
        return logits
