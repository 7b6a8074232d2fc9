"""The random numbers of one augmentation, all drawn here."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.params import AugmentationParams, StrongViewParams

# Ranges of torchvision's RandomPhotometricDistort, which took them from SSD; lower and upper end.
_BRIGHTNESS = (0.875, 1.125)
_CONTRAST = (0.5, 1.5)
_SATURATION = (0.5, 1.5)
_HUE = (-0.05, 0.05)


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """Photometric factors; the defaults change nothing.

    Attributes:
        brightness: factor on the RGB values.
        contrast: factor on the distance to the mean gray.
        contrast_first: whether contrast comes before saturation and hue rather than after them.
        saturation: factor on the distance to the pixel's own gray.
        hue: shift in turns of the color circle, in [-0.5, 0.5].
    """

    brightness: float = 1.0
    contrast: float = 1.0
    contrast_first: bool = True
    saturation: float = 1.0
    hue: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What happens to one image and its labels; the defaults change nothing but the size, to that of the crop.

    Attributes:
        scale: factor on both sides of the image, > 0.
        angle: degrees counterclockwise; 0 when the image is not rotated.
        flip: whether the rotated image is mirrored left to right.
        top: position of the crop in the scaled image, in [0, 1) over all positions from the topmost to the lowest.
        left: likewise from the leftmost to the rightmost.
        blur: whether the crop is blurred.
        distortion: photometric factors.
        strong_distortion: those of a strong view, applied after them.
        strong_sigma: of the Gaussian blur of a strong view, in pixels of the crop; 0 = none.
    """

    scale: float = 1.0
    angle: float = 0.0
    flip: bool = False
    top: float = 0.0
    left: float = 0.0
    blur: bool = False
    distortion: Distortion = Distortion()
    strong_distortion: Distortion = Distortion()
    strong_sigma: float = 0.0


def scale_range(params: AugmentationParams, *, beta_min: float, beta_max: float) -> tuple[float, float]:
    """Return the range of random scales of a round, [(1 - beta_min) s_min, (1 + beta_max) s_max].

    It is always relative to the initial range [s_min, s_max], which `params` holds, not to the previous round's; `beta_min` is
    in [0, 1), `beta_max` 0 or more.

    Reference: He et al. 2021, Sec. 3.3.
    """
    return (1.0 - beta_min) * params.scale_min, (1.0 + beta_max) * params.scale_max


def draw_augmentation(params: AugmentationParams, *, scales: tuple[float, float], rng: np.random.Generator) -> Draw:
    """Draw one augmentation.

    One call takes all numbers from `rng`, the unused ones too, so that switching a part off or changing a probability
    leaves every other part, and every later draw from `rng`, as it was.

    Args:
        params: probabilities and the largest angle. `photometric_probability` holds for each of brightness, contrast,
            saturation and hue on its own, as in torchvision's RandomPhotometricDistort; its channel swap is left out.
        scales: lower and upper end of the uniform random scale.
        rng: is advanced by 16 uniform numbers.
    """
    (
        scale, rotates, angle, flips, top, left, blurs, brightens, brightness,
        contrasts, contrast, contrast_first, saturates, saturation, shifts, hue,
    ) = rng.random(16).tolist()  # fmt: skip
    photometric = params.photometric_probability
    return Draw(
        scale=_between(scales, scale),
        angle=_between((-params.rotation, params.rotation), angle) if rotates < params.rotation_probability else 0.0,
        flip=flips < params.flip_probability,
        top=top,
        left=left,
        blur=blurs < params.blur_probability,
        distortion=Distortion(
            brightness=_between(_BRIGHTNESS, brightness) if brightens < photometric else 1.0,
            contrast=_between(_CONTRAST, contrast) if contrasts < photometric else 1.0,
            contrast_first=contrast_first < 0.5,
            saturation=_between(_SATURATION, saturation) if saturates < photometric else 1.0,
            hue=_between(_HUE, hue) if shifts < photometric else 0.0,
        ),
    )


def draw_strong_view(draw: Draw, params: StrongViewParams, *, strength: float, rng: np.random.Generator) -> Draw:
    """Add to a draw what makes it a strong view: colors and blur.

    One call takes all numbers from `rng`, the unused ones too; see `draw_augmentation`.

    Args:
        draw: scale, angle, flip and position stay as they are.
        params: probabilities and strengths. `color_probability` holds for all four factors together, as UniMatch jitters.
        strength: factor on the probabilities, in [0, 1].
        rng: is advanced by 9 uniform numbers.
    """
    colors, brightness, contrast, contrast_first, saturation, hue, grays, blurs, sigma = rng.random(9).tolist()
    distortion = Distortion()
    if colors < strength * params.color_probability:
        distortion = Distortion(
            brightness=_between((1.0 - params.brightness, 1.0 + params.brightness), brightness),
            contrast=_between((1.0 - params.contrast, 1.0 + params.contrast), contrast),
            contrast_first=contrast_first < 0.5,
            saturation=_between((1.0 - params.saturation, 1.0 + params.saturation), saturation),
            hue=_between((-params.hue, params.hue), hue),
        )
    if grays < strength * params.grayscale_probability:
        distortion = replace(distortion, saturation=0.0)
    blurred = blurs < strength * params.blur_probability
    return replace(
        draw,
        strong_distortion=distortion,
        strong_sigma=_between((params.blur_sigma_min, params.blur_sigma_max), sigma) if blurred else 0.0,
    )


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share
