"""Parts of one crop pasted into another, image and labels alike: CutMix and ClassMix."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pipeline.params import StrongViewParams
from pipeline.samples.catalog import IGNORE_INDEX

_RATIO = 0.3
"""Of the sides of a rectangle: from it to its inverse, as UniMatch draws."""

Crop = tuple[Tensor, Tensor]
"""Image (3, h, w) float32 and labels (h, w) int64."""


def mix(crop: Crop, other: Callable[[], Crop], params: StrongViewParams, *, strength: float, rng: np.random.Generator) -> Crop:
    """Paste a part of another crop of the same size into a crop, or nothing, by `mix_probability`.

    Args:
        crop: left as it is.
        other: gives the other crop; called where something is pasted.
        params: section.
        strength: factor on the probability, in [0, 1].
        rng: the only source of randomness.

    Returns:
        At every pixel, image and label of the one crop or of the other. Ignored pixels of a rectangle are pasted like all others;
        `classmix` pastes none.

    Reference:
        Yun et al., CutMix, ICCV 2019, with the rectangles of UniMatch (Yang et al., CVPR 2023); Olsson et al., ClassMix, WACV
        2021.
    """
    if rng.random() >= strength * params.mix_probability:
        return crop
    image, labels = crop
    pasted_image, pasted_labels = other()
    if params.mix == "cutmix":
        pasted = draw_rectangle(labels.shape, params.cutmix_area_min, params.cutmix_area_max, rng)
    else:
        pasted = torch.isin(pasted_labels, draw_classes(pasted_labels, rng))
    return torch.where(pasted, pasted_image, image), torch.where(pasted, pasted_labels, labels)


def draw_rectangle(size: tuple[int, ...], area_min: float, area_max: float, rng: np.random.Generator) -> Tensor:
    """Return (h, w) bool: a rectangle anywhere inside, its share of the area uniform, cut to the sides where it is longer."""
    area, ratio, top, left = rng.random(4).tolist()
    pixels = (area_min + (area_max - area_min) * area) * size[0] * size[1]
    proportion = _RATIO ** (1.0 - 2.0 * ratio)
    height = min(max(round(math.sqrt(pixels * proportion)), 1), size[0])
    width = min(max(round(pixels / height), 1), size[1])
    height = min(max(round(pixels / width), 1), size[0])
    first_row, first_col = int(top * (size[0] - height + 1)), int(left * (size[1] - width + 1))
    rectangle = torch.zeros(size, dtype=torch.bool)
    rectangle[first_row : first_row + height, first_col : first_col + width] = True
    return rectangle


def draw_classes(labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Return half of the classes of (h, w) labels, rounded up; none where all pixels are ignored."""
    classes: Tensor = torch.unique(labels[labels != IGNORE_INDEX])
    return classes[torch.from_numpy(rng.permutation(len(classes))[: (len(classes) + 1) // 2])]
