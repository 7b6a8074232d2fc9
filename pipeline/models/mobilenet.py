"""MobileNetV3-Large (Howard et al., Searching for MobileNetV3, ICCV 2019) as torchvision's segmentation networks use it."""

from collections.abc import Mapping

from torch import Tensor, nn

from pipeline.models.network import Backbone

# Behind C2, as torchvision counts the blocks that halve the size: where its LR-ASPP takes the shallow features.
_SHALLOW = "4"


class MobileBackbone(Backbone):
    """The blocks of a MobileNetV3-Large, named by their number as in torchvision's segmentation networks.

    The last stage is dilated; the shallow features are those of block 4, at stride 8, the deep ones those of block 16, at
    stride 16.
    """

    def __init__(self, features: nn.Sequential) -> None:
        """Take the `features` of torchvision's `mobilenet_v3_large(dilated=True)`."""
        super().__init__()
        for name, block in features.named_children():
            self.add_module(name, block)
        self.channels = (self._modules[_SHALLOW].out_channels, features[-1].out_channels)  # type: ignore[union-attr, assignment]
        self.strides = (8, 16)

    def own_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file of torchvision, named by the number of their block, without those of the classifier."""
        kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
        return {name.removeprefix("features."): tensor for name, tensor in kept.items()}

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of blocks 4 and 16."""
        features = shallow = images
        for name, block in self.named_children():
            features = block(features)
            if name == _SHALLOW:
                shallow = features
        return shallow, features
