"""One random crop of an image and its labels."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.normalization import Normalization, normalize_into
from pipeline.params import AugmentationParams, StrongViewParams
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.transforms.color import blur, blur_strongly, distort
from pipeline.transforms.draws import Draw, draw_augmentation, draw_strong_view
from pipeline.transforms.geometry import build_frame, build_grid, map_crop, sample


class StrongView(NamedTuple):
    """What makes a crop a strong view."""

    params: StrongViewParams
    """Section."""
    strength: float
    """Factor on its probabilities, in [0, 1]."""
    rng: np.random.Generator
    """Of its own, so that strong views leave every other draw as it is."""


def augment(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    params: AugmentationParams,
    *,
    scales: tuple[float, float],
    normalization: Normalization,
    rng: np.random.Generator,
    strong: StrongView | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut one random crop: scale, rotate, flip and crop image and labels alike, then blur the image.

    This is not the sequence of the release (resize, rotate, blur, flip, crop, each on the whole image), but the one map
    that these compose to. So the image is interpolated once, not twice, and is a little sharper where it is rotated;
    labels are rounded to the nearest pixel once, not twice; and only the pixels of the crop are computed. As in the
    release, nothing is antialiased when it shrinks (cv2.INTER_LINEAR). The blur sees the crop reflected at its
    borders, where the release's sees the pixels around it. Upscaled border pixels of the image blend with the mean
    color, where the release repeats them. The photometric distortion changes no padding, and its contrast turns about
    the mean gray of the part of the image that the crop needs.

    Args:
        image: (H, W, 3), uint8, RGB.
        labels: (H, W), uint8, 255 = ignored; true or pseudo labels.
        params: size of the crop, probabilities and the largest angle; its scales are not read.
        scales: lower and upper end of the random scale, from `scale_range`.
        normalization: of the network that is trained.
        rng: the only source of randomness; advanced alike whatever `params` and the outcome are.
        strong: changes colors and blurs further, and moves nothing; None: nothing is changed further.

    Returns:
        The crop, (3, h, w), float32, normalized, 0 (the mean color) outside of the image, and its labels, (h, w),
        int64, 255 where ignored or where the nearest pixel lies outside of the image.

    Raises:
        ValueError: image and labels do not belong together, or the crop is too small to be blurred.

    Reference:
        He et al. 2021, Sec. 4.1; its public release, CVMI-Lab/DARS.
    """
    _check(image, labels, params)
    draw = draw_augmentation(params, scales=scales, rng=rng)
    if strong is not None:
        draw = draw_strong_view(draw, strong.params, strength=strong.strength, rng=strong.rng)
    return apply(draw, image, labels, crop_size=(params.crop_height, params.crop_width), normalization=normalization)


def apply(
    draw: Draw, image: NDArray[np.uint8], labels: NDArray[np.uint8], *, crop_size: tuple[int, int], normalization: Normalization
) -> tuple[torch.Tensor, torch.Tensor]:
    """Carry out one draw; image, labels and result as in `augment`."""
    crop_map = map_crop(draw, source_size=labels.shape, crop_size=crop_size)
    colors = distort(distort(image[crop_map.rows, crop_map.cols], draw.distortion), draw.strong_distortion)
    classes = labels[crop_map.rows, crop_map.cols]
    height, width = classes.shape

    image_frame = build_frame(crop_map, channels=3)
    normalize_into(image_frame[:, :height, :width], colors, normalization)
    labels_frame = build_frame(crop_map, channels=1)
    # IGNORE_INDEX becomes 0, the value that sampling finds outside: no mask is needed.
    np.subtract(classes, np.float32(IGNORE_INDEX), out=labels_frame[0, :height, :width], dtype=np.float32)

    grid = build_grid(crop_map, image_frame)
    crop = sample(image_frame, grid, interpolation="bilinear")
    crop_labels = sample(labels_frame, grid, interpolation="nearest")[0]
    crop_labels = crop_labels.add_(IGNORE_INDEX).to(torch.int64)
    return blur_strongly(blur(crop) if draw.blur else crop, draw.strong_sigma), crop_labels


def _check(image: NDArray[np.uint8], labels: NDArray[np.uint8], params: AugmentationParams) -> None:
    found = f"image {image.shape} {image.dtype}, labels {labels.shape} {labels.dtype}"
    if image.dtype != np.uint8 or labels.dtype != np.uint8 or labels.ndim != 2 or image.shape != (*labels.shape, 3):
        raise ValueError(
            f"augment - expected an image (H, W, 3) uint8 and labels (H, W) uint8 - found {found} - "
            "convert to 8-bit RGB, and give image and labels the same size"
        )
    if labels.size == 0:
        raise ValueError(f"augment - expected at least one pixel - found {found} - remove the empty image")
    if params.blur_probability > 0.0 and min(params.crop_height, params.crop_width) < 3:
        raise ValueError(
            f"augmentation - expected a crop of 3 x 3 pixels or more for the blur - found {params.crop_height} x "
            f"{params.crop_width} - enlarge the crop or set blur_probability to 0"
        )
