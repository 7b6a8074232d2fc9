"""The size at which a network works, whatever the size of the photos."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def working_size(size: tuple[int, int], long_side: int | None, *, scale: float = 1.0) -> tuple[int, int]:
    """Return the height and width that an image of `size` gets where its longer side gets `scale` times `long_side` pixels.

    With `long_side` None the image's own longer side is meant. No side falls below one pixel.
    """
    base = 1.0 if long_side is None else long_side / max(size)
    return max(round(size[0] * base * scale), 1), max(round(size[1] * base * scale), 1)


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W, 3) uint8 bilinearly with half-pixel centers, antialiased; the same size is left as it is."""
    return _resize(image, size, Image.Resampling.BILINEAR)


def resize_labels(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W) uint8 to the nearest pixels; the same size is left as it is."""
    return _resize(labels, size, Image.Resampling.NEAREST)


def _resize(pixels: NDArray[np.uint8], size: tuple[int, int], resampling: Image.Resampling) -> NDArray[np.uint8]:
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], resampling))
