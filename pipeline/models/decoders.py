"""The decoders of segmentation_models_pytorch on any backbone, and the plain head of a transformer's linear probe."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from pipeline.models.network import (
    Backbone,
    PooledBatchNorm2d,
    SegmentationNetwork,
    build_auxiliary_head,
    initialize_convolutions,
    upsample_to_edges,
)
from pipeline.params import ModelParams
from pipeline.runtime import import_timm


class Linear(SegmentationNetwork):
    """Batch normalization and a classifier of each feature: what is left to learn where a transformer has seen everything.

    Reference:
        Oquab et al., DINOv2, 2023, Sec. 7.4, the linear evaluation of semantic segmentation.
    """

    def __init__(self, backbone: Backbone, params: ModelParams, num_classes: int) -> None:
        """Put the classifier on a backbone; its weights are drawn from torch's global generator."""
        super().__init__(backbone, num_classes, upsample_to_edges)
        channels = backbone.channels[-1]
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels), nn.Dropout2d(params.dropout), nn.Conv2d(channels, num_classes, kernel_size=1)
        )
        nn.init.normal_(self.head[2].weight, std=0.01)  # type: ignore[arg-type] # a Sequential forgets what it holds
        nn.init.zeros_(self.head[2].bias)  # type: ignore[arg-type]
        self.auxiliary_head = build_auxiliary_head(backbone, params, num_classes)
        initialize_convolutions(self.auxiliary_head)

    def classify(self, features: Sequence[Tensor]) -> Tensor:
        """Classify the last level."""
        logits: Tensor = self.head(features[-1])
        return logits


class Decoded(SegmentationNetwork):
    """A backbone, a decoder of segmentation_models_pytorch, and a classifier of what it gives.

    Images are padded to multiples of the largest stride, so that maps of different levels fit each other. A batch of one image
    trains: see `PooledBatchNorm2d`.

    Reference:
        Chen et al., Encoder-Decoder with Atrous Separable Convolution (DeepLabv3+), ECCV 2018; Ronneberger et al., U-Net, MICCAI
        2015; Kirillov et al., Panoptic Feature Pyramid Networks, CVPR 2019; Xiao et al., UPerNet, ECCV 2018; Xie et al.,
        SegFormer, NeurIPS 2021; Ranftl et al., Vision Transformers for Dense Prediction (DPT), ICCV 2021.
    """

    def __init__(self, backbone: Backbone, params: ModelParams, num_classes: int) -> None:
        """Put decoder and classifier on a backbone; their weights are drawn from torch's global generator.

        Raises:
            ValueError: the decoder needs another pyramid than the backbone has.
        """
        import_timm()  # before the decoders, which import it
        from segmentation_models_pytorch.base.initialization import initialize_decoder

        super().__init__(backbone, num_classes, upsample_to_edges)
        decoder = DECODERS[params.network](backbone, params.head_width)
        self.multiple = max(*backbone.strides, decoder.multiple)
        self.decoder, self._arrange = decoder.module, decoder.arrange
        initialize_decoder(self.decoder)
        _replace_normalization(self.decoder)
        self.classifier = nn.Sequential(nn.Dropout2d(params.dropout), nn.Conv2d(decoder.channels, num_classes, kernel_size=1))
        self.auxiliary_head = build_auxiliary_head(backbone, params, num_classes)
        initialize_convolutions(self.classifier, self.auxiliary_head)

    def classify(self, features: Sequence[Tensor]) -> Tensor:
        """Decode the pyramid and classify what comes of it."""
        logits: Tensor = self.classifier(self.decoder(*self._arrange(features)))
        return logits


class Decoder(NamedTuple):
    """A decoder and how it is used."""

    module: nn.Module
    channels: int
    """That it gives."""
    arrange: Callable[[Sequence[Tensor]], Sequence[object]]
    """From a pyramid to the decoder's arguments."""
    multiple: int = 1
    """Of so many pixels images must be."""


def _deeplabv3plus(backbone: Backbone, width: int) -> Decoder:
    from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder

    deep, stride = backbone.channels[-1], backbone.strides[-1]
    # Beside the deep features, those at stride 4, or what comes next to it.
    fine = max(at for at in backbone.strides if at <= max(4, backbone.strides[0]))
    level = backbone.strides.index(fine)
    # The paper's rates belong to stride 16; they look as far in pixels at any other.
    rates = tuple(rate * 16 // stride or 1 for rate in (6, 12, 18))
    module = DeepLabV3PlusDecoder(
        encoder_channels=[0, 0, backbone.channels[level], deep],
        encoder_depth=3,
        out_channels=width,
        atrous_rates=rates,
        output_stride=16,
        aspp_separable=True,
        aspp_dropout=0.5,
    )
    module.up = nn.Upsample(scale_factor=stride // fine, mode="bilinear", align_corners=False)
    return Decoder(module, width, lambda features: ([None, None, features[level], features[-1]],))


def _unet(backbone: Backbone, width: int) -> Decoder:
    from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

    blocks = len(backbone.channels) - 1
    widths = [width << place for place in reversed(range(blocks))]
    module = UnetDecoder(encoder_channels=(0, *backbone.channels), decoder_channels=widths, n_blocks=blocks)
    return Decoder(module, width, lambda features: ([features[0], *features],))


def _fpn(backbone: Backbone, width: int) -> Decoder:
    from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder

    first = backbone.strides[0]
    if backbone.strides != (first, 2 * first, 4 * first, 8 * first):
        raise ValueError(
            f"model.network - expected for fpn a backbone of four levels, each of half the size of the one before - found the"
            f" strides {backbone.strides} - set model.output_stride={8 * first}, or take upernet or deeplabv3plus"
        )
    if width % 32:
        raise ValueError(
            f"model.head_width - expected a multiple of 32 for fpn, which groups its channels - found {width} - set 128"
        )
    module = FPNDecoder(list(backbone.channels), 4, pyramid_channels=2 * width, segmentation_channels=width, dropout=0.0)
    return Decoder(module, width, lambda features: (list(features),))


def _upernet(backbone: Backbone, width: int) -> Decoder:
    from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder

    module = UPerNetDecoder([0, 0, *backbone.channels], len(backbone.channels) + 1, decoder_channels=width)
    return Decoder(module, width, lambda features: ([None, None, *features],))


def _segformer(backbone: Backbone, width: int) -> Decoder:
    from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder

    module = SegformerDecoder([3, 0, *backbone.channels], len(backbone.channels) + 1, segmentation_channels=width)

    def arrange(features: Sequence[Tensor]) -> tuple[list[Tensor]]:
        # It gives a quarter of what it takes for the image's size: the size of the first level.
        height, width = features[0].shape[2:]
        nothing = features[0].new_empty(1, 0, 4 * height, 4 * width)
        return ([nothing, nothing, *features],)

    return Decoder(module, width, arrange)


def _dpt(backbone: Backbone, width: int) -> Decoder:
    from segmentation_models_pytorch.decoders.dpt.decoder import DPTDecoder

    if len(backbone.strides) != 4 or len(set(backbone.strides)) != 1:
        raise ValueError(
            f"model.network - expected for dpt a plain transformer, whose features have one stride - found the strides"
            f" {backbone.strides} - take deeplabv3plus or upernet"
        )
    deep, patch = backbone.channels[-1], backbone.strides[-1]
    module = DPTDecoder(
        encoder_out_channels=backbone.channels,
        encoder_output_strides=(16,) * 4,  # patches of any size are brought to 4, 2, 1 and half as many a side
        encoder_has_prefix_tokens=False,
        readout="ignore",
        intermediate_channels=(deep // 8, deep // 4, deep // 2, deep),
        fusion_channels=width,
    )
    return Decoder(module, width, lambda features: (list(features), [None] * 4), multiple=2 * patch)


DECODERS: dict[str, Callable[[Backbone, int], Decoder]] = {
    "deeplabv3plus": _deeplabv3plus,
    "unet": _unet,
    "fpn": _fpn,
    "upernet": _upernet,
    "segformer": _segformer,
    "dpt": _dpt,
}
"""From a backbone and `head_width` to a decoder."""


def _replace_normalization(module: nn.Module) -> None:
    """Let batch normalization behind a global pooling take a batch of one image."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, PooledBatchNorm2d(child.num_features, eps=child.eps, momentum=child.momentum))
        else:
            _replace_normalization(child)
