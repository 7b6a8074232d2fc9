"""The normalization that a network's input gets: a contract with the weights that its backbone starts from."""

import numpy as np
import torch
from numpy.typing import NDArray

# Mean and standard deviation of ImageNet's RGB values in [0, 1]: those of the torchvision backbones.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def normalize(image: NDArray[np.uint8]) -> torch.Tensor:
    """Turn an image, (H, W, 3) uint8 RGB, into the input of a network.

    Returns:
        (3, H, W), float32: zero mean and unit variance over ImageNet; the mean color becomes 0.
    """
    normalized = np.empty((3, *image.shape[:2]), np.float32)
    normalize_into(normalized, image)
    return torch.from_numpy(normalized)


def normalize_into(normalized: NDArray[np.float32], image: NDArray[np.uint8]) -> None:
    """Write `normalize(image)` into `normalized`, (3, H, W)."""
    for channel, (mean, std) in enumerate(zip(_MEAN, _STD, strict=True)):
        plane = normalized[channel]
        np.subtract(image[..., channel], np.float32(255.0 * mean), out=plane, dtype=np.float32)
        plane *= np.float32(1.0 / (255.0 * std))
