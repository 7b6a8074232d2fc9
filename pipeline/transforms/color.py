"""Blur and photometric distortion: what changes values and moves no pixel."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.runtime import import_torchvision
from pipeline.transforms.draws import Distortion

# cv2's own sigma for a kernel of 5, 0.3 * ((5 - 1) * 0.5 - 1) + 0.8: the release passes none.
_SIGMA = 1.1
_RADIUS = 2


def blur(image: torch.Tensor, *, sigma: float = _SIGMA, radius: int = _RADIUS) -> torch.Tensor:
    """Blur with a Gaussian, by default of 5 x 5 pixels and sigma 1.1, reflecting at the borders; no border pixel counts twice.

    Equals torchvision's `gaussian_blur(image, [5, 5], [1.1, 1.1])`; written as two passes of shifted sums, which on one
    CPU thread is 3 (48 x 96 pixels) to 16 (713 x 713) times as fast as its convolution.

    Args:
        image: (C, H, W), float32, like the result; H and W above `radius`.
        sigma: in pixels.
        radius: pixels on each side of a pixel that count.
    """
    weights = [math.exp(-0.5 * (distance / sigma) ** 2) for distance in range(radius + 1)]
    total = 2.0 * sum(weights) - weights[0]
    padded = torch.nn.functional.pad(image[None], (radius,) * 4, mode="reflect")[0]
    for axis in (1, 2):
        side = image.shape[axis]
        blurred = padded.narrow(axis, radius, side) * (weights[0] / total)
        for distance in range(1, radius + 1):
            before = padded.narrow(axis, radius - distance, side)
            after = padded.narrow(axis, radius + distance, side)
            blurred.add_(before + after, alpha=weights[distance] / total)
        padded = blurred
    return padded


def blur_strongly(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur (C, H, W) with a Gaussian of any sigma, cut at three sigmas or at the side of a small crop; 0 leaves it as it is."""
    radius = min(math.ceil(3.0 * sigma), min(image.shape[1:]) - 1)
    return blur(image, sigma=sigma, radius=radius) if radius > 0 else image


def distort(image: NDArray[np.uint8], distortion: Distortion) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue; values are clipped at every part and rounded once.

    Args:
        image: (H, W, 3), uint8, RGB, at least one pixel.
        distortion: the factors; a neutral one leaves its part out.

    Returns:
        (H, W, 3), uint8, RGB; `image` itself where all are neutral.

    Reference:
        He et al. 2021, supplement, Table 11.
    """
    neutral = Distortion(contrast_first=distortion.contrast_first)
    if distortion == neutral:
        return image
    change = import_torchvision().transforms.functional
    values = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / np.float32(255.0))
    if distortion.brightness != neutral.brightness:
        values = change.adjust_brightness(values, distortion.brightness)
    if distortion.contrast != neutral.contrast and distortion.contrast_first:
        values = change.adjust_contrast(values, distortion.contrast)
    if distortion.saturation != neutral.saturation:
        values = change.adjust_saturation(values, distortion.saturation)
    if distortion.hue != neutral.hue:
        values = change.adjust_hue(values, distortion.hue)
    if distortion.contrast != neutral.contrast and not distortion.contrast_first:
        values = change.adjust_contrast(values, distortion.contrast)
    distorted: NDArray[np.uint8] = (values * 255.0).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return distorted
