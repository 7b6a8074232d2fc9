"""The size at which a network works, whatever the size of the photos."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional


def working_size(size: tuple[int, int], long_side: int | None, *, scale: float = 1.0) -> tuple[int, int]:
    """Return the height and width that an image of `size` gets where its longer side gets `scale` times `long_side` pixels.

    With `long_side` None the image's own longer side is meant. No side falls below one pixel.
    """
    base = 1.0 if long_side is None else long_side / max(size)
    return max(round(size[0] * base * scale), 1), max(round(size[1] * base * scale), 1)


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W, 3) uint8 bilinearly with half-pixel centers, antialiased; the same size is left as it is."""
    if image.shape[:2] == size:
        return image
    planes = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    resized = functional.interpolate(planes, size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    return np.ascontiguousarray(resized.permute(1, 2, 0).numpy())


def resize_labels(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W) uint8 to the nearest pixels; the same size is left as it is."""
    if labels.shape == size:
        return labels
    rows, cols = (
        np.minimum(((np.arange(new) + 0.5) * (old / new)).astype(np.int64), old - 1)
        for new, old in zip(size, labels.shape, strict=True)
    )
    resized: NDArray[np.uint8] = labels[rows[:, None], cols]
    return resized
