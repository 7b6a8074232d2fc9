"""The normalization that a network's input gets: a contract with the weights that its backbone starts from."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray


class Normalization(NamedTuple):
    """Mean and standard deviation of RGB values in [0, 1], by which the weights of a backbone were learned."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""That of ImageNet's images: of the torchvision backbones, of most in timm, and of what starts from nothing."""


def normalize(image: NDArray[np.uint8], normalization: Normalization) -> torch.Tensor:
    """Turn an image, (H, W, 3) uint8 RGB, into the input of a network.

    Returns:
        (3, H, W), float32: zero mean and unit variance over the images that `normalization` is of; the mean color becomes 0.
    """
    normalized = np.empty((3, *image.shape[:2]), np.float32)
    normalize_into(normalized, image, normalization)
    return torch.from_numpy(normalized)


def normalize_into(normalized: NDArray[np.float32], image: NDArray[np.uint8], normalization: Normalization) -> None:
    """Write `normalize(image, normalization)` into `normalized`, (3, H, W)."""
    for channel, (mean, std) in enumerate(zip(*normalization, strict=True)):
        plane = normalized[channel]
        np.subtract(image[..., channel], np.float32(255.0 * mean), out=plane, dtype=np.float32)
        plane *= np.float32(1.0 / (255.0 * std))
