"""Scale, rotation, flip and crop as one affine map from crop pixels to source pixels, sampled once."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.transforms.draws import Draw


@dataclass(frozen=True, kw_only=True)
class CropMap:
    """Where each pixel of a crop comes from.

    Crop pixel (i, j) lies at x = x_cols[j] + x_rows[i], y = y_cols[j] + y_rows[i] of the window, in pixels, where whole
    numbers are pixel centers. The window is the part of the source that the crop needs.

    Attributes:
        x_cols: (w,) float64.
        x_rows: (h,) float64.
        y_cols: (w,) float64.
        y_rows: (h,) float64.
        rows: rows of the source in the window; never empty, even where the crop lies beside the source.
        cols: columns of the source in the window, likewise.
    """

    x_cols: NDArray[np.float64]
    x_rows: NDArray[np.float64]
    y_cols: NDArray[np.float64]
    y_rows: NDArray[np.float64]
    rows: slice
    cols: slice


def map_crop(draw: Draw, *, source_size: tuple[int, int], crop_size: tuple[int, int]) -> CropMap:
    """Compose scaling, rotation about the image center, flip and crop, and invert them.

    The scaled image has round(scale * side) pixels a side, at least one. The crop lies anywhere inside it with equal
    probability; along a side where the scaled image is smaller than the crop it is centered, an odd pixel of padding
    going below or to the right.

    Args:
        draw: scale, angle, flip and position; the rest is not read.
        source_size: height and width of the image.
        crop_size: height and width of the crop.
    """
    from_center_y, ratio_y = _place(draw.scale, draw.top, source_size[0], crop_size[0])
    from_center_x, ratio_x = _place(draw.scale, draw.left, source_size[1], crop_size[1])
    if draw.flip:
        from_center_x = -from_center_x
    cos, sin = math.cos(math.radians(draw.angle)), math.sin(math.radians(draw.angle))
    x_cols = from_center_x * (cos / ratio_x) + (source_size[1] - 1) / 2
    x_rows = from_center_y * (-sin / ratio_x)
    y_cols = from_center_x * (sin / ratio_y)
    y_rows = from_center_y * (cos / ratio_y) + (source_size[0] - 1) / 2
    rows = _window(y_cols, y_rows, source_size[0])
    cols = _window(x_cols, x_rows, source_size[1])
    return CropMap(x_cols=x_cols - cols.start, x_rows=x_rows, y_cols=y_cols, y_rows=y_rows - rows.start, rows=rows, cols=cols)


def build_frame(crop_map: CropMap, channels: int) -> NDArray[np.float32]:
    """Return zeros with room for the window in the upper left corner.

    The sides are powers of two: `grid_sample` takes positions relative to the side, and only then do those of pixel
    centers pass through float32 unchanged. Zeros beyond the window cost next to nothing, the system maps them lazily.

    Returns:
        (channels, h, w), float32, h and w at least those of the window.
    """
    height = 1 << (crop_map.rows.stop - crop_map.rows.start - 1).bit_length()
    width = 1 << (crop_map.cols.stop - crop_map.cols.start - 1).bit_length()
    return np.zeros((channels, height, width), np.float32)


def build_grid(crop_map: CropMap, frame: NDArray[np.float32]) -> torch.Tensor:
    """Return the positions of the crop's pixels in the frame, as `grid_sample` takes them.

    Returns:
        (h, w, 2), float32: x and y, -1 and 1 being the outer edges of the frame (`align_corners=False`).
    """
    height, width = frame.shape[-2:]
    grid = np.empty((len(crop_map.x_rows), len(crop_map.x_cols), 2), np.float32)
    x_cols = (2.0 * crop_map.x_cols + 1.0) / width - 1.0
    y_rows = (2.0 * crop_map.y_rows + 1.0) / height - 1.0
    x_rows, y_cols = 2.0 * crop_map.x_rows / width, 2.0 * crop_map.y_cols / height
    np.add.outer(x_rows.astype(np.float32), x_cols.astype(np.float32), out=grid[..., 0])
    np.add.outer(y_rows.astype(np.float32), y_cols.astype(np.float32), out=grid[..., 1])
    return torch.from_numpy(grid)


def sample(frame: NDArray[np.float32], grid: torch.Tensor, *, interpolation: Literal["bilinear", "nearest"]) -> torch.Tensor:
    """Read the frame at the positions of the grid; what lies outside of the frame is 0.

    Args:
        frame: (C, H, W), float32.
        grid: (h, w, 2), float32, from `build_grid`.
        interpolation: `bilinear` without antialiasing, as cv2.INTER_LINEAR, or `nearest` pixel center.

    Returns:
        (C, h, w), float32.
    """
    source = torch.from_numpy(frame)[None]
    sampled = torch.nn.functional.grid_sample(source, grid[None], mode=interpolation, padding_mode="zeros", align_corners=False)
    return sampled[0]


def _place(scale: float, share: float, source_side: int, crop_side: int) -> tuple[NDArray[np.float64], float]:
    """Return the crop's pixel centers relative to the center of the scaled image, and scaled over source side."""
    scaled_side = max(1, round(scale * source_side))
    room = scaled_side - crop_side
    offset = math.floor(share * (room + 1)) if room >= 0 else -(-room // 2)
    centers = np.arange(crop_side, dtype=np.float64)
    centers += offset - (scaled_side - 1) / 2
    return centers, scaled_side / source_side


def _window(cols: NDArray[np.float64], rows: NDArray[np.float64], side: int) -> slice:
    """Return the pixels that the sums of `cols` and `rows` touch, with one to spare for float32 rounding."""
    first = math.floor(cols.min() + rows.min()) - 1
    last = math.ceil(cols.max() + rows.max()) + 1
    start = min(max(first, 0), side - 1)
    return slice(start, max(min(last + 1, side), start + 1))
