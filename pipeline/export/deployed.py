"""A network as a file holds it: from images as they are to predictions, with nothing that an ONNX graph of one size lacks."""

import copy

import torch
from torch import Tensor, nn

from pipeline.models.network import SegmentationNetwork

OUTPUTS = ("prediction", "confidence", "logits")
"""Names of what a file gives, in order; the last only where it is asked for."""


class Deployed(nn.Module):
    """A network with the normalization of its images in front and the arg max behind it."""

    mean: Tensor
    factor: Tensor

    def __init__(self, network: SegmentationNetwork) -> None:
        """Take a copy of a network in eval mode."""
        super().__init__()
        self.network = with_matrix_pooling(copy.deepcopy(network))
        mean, std = network.backbone.normalization
        # Rounded to float32 in the same places as `normalize`, so that both give the same bits.
        self.register_buffer("mean", torch.tensor([255.0 * value for value in mean], dtype=torch.float32).reshape(3, 1, 1))
        self.register_buffer("factor", torch.tensor([1 / (255.0 * value) for value in std], dtype=torch.float32).reshape(3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict.

        Args:
            images: (N, H, W, 3), uint8, RGB.

        Returns:
            Prediction, (N, H, W) uint8 train ids, of ties the lowest; confidence, (N, H, W) float32, the largest probability;
            logits, (N, C, H, W) float32.
        """
        normalized = (images.permute(0, 3, 1, 2).float() - self.mean) * self.factor
        logits = self.network(normalized).logits
        # The largest of a softmax alone: onnxruntime takes longer for all of it than for a small network.
        confidence = (logits - logits.amax(dim=1, keepdim=True)).exp().sum(dim=1).reciprocal()
        return logits.argmax(dim=1).to(torch.uint8), confidence, logits


class MatrixPooling(nn.Module):
    """`nn.AdaptiveAvgPool2d` as two matrix products, which every ONNX runtime has.

    ONNX has no adaptive pooling. torch's exporter spells it out value by value: a PSPNet at 256x512 takes 2,571 operations that
    way and ten times the file, and 65 like this.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """Set the rows and columns of the grid."""
        super().__init__()
        self._size = size

    def forward(self, features: Tensor) -> Tensor:
        """Average (N, channels, h, w) over the cells of the grid; h and w are numbers when a graph is made."""
        rows, columns = (_averages(length, bins) for length, bins in zip(features.shape[2:], self._size, strict=True))
        return rows @ features @ columns.T


def with_matrix_pooling(module: nn.Module) -> nn.Module:
    """Replace adaptive average pooling to more than one value, in place; a mean over all is an operation of ONNX."""
    for name, child in module.named_children():
        size = child.output_size if isinstance(child, nn.AdaptiveAvgPool2d) else None
        rows, columns = size if isinstance(size, tuple) else (size, size)
        if rows is None or columns is None or rows * columns == 1:
            with_matrix_pooling(child)
        else:
            setattr(module, name, MatrixPooling((rows, columns)))
    return module


def _averages(length: int, bins: int) -> Tensor:
    """Return (bins, length): each row averages the values of a bin, which begins and ends where torch's does and may overlap."""
    weights = torch.zeros(bins, length)
    for index in range(bins):
        begin, end = index * length // bins, -(-(index + 1) * length // bins)
        weights[index, begin:end] = 1 / (end - begin)
    return weights
