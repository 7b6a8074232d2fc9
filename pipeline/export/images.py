"""Images that a file is held against torch on: drawn ones, or somebody's own."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.raw_files import IMAGE_SUFFIXES, find_images
from pipeline.export.request import Shape
from pipeline.machine.progress import Progress
from pipeline.randomness import keyed_generator
from pipeline.samples.images import read_image
from pipeline.samples.working_size import resize_image

_GRAINS = (1, 8, 32)
"""Sides, in pixels, of the cells of one color that drawn images are made of."""


def draw_images(shape: Shape) -> Iterator[NDArray[np.uint8]]:
    """Yield a few images (H, W, 3) of random colors, from noise to large patches; always the same."""
    for grain in _GRAINS:
        rows, columns = -(-shape.height // grain), -(-shape.width // grain)
        cells = keyed_generator("export", grain).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
        yield cells.repeat(grain, axis=0).repeat(grain, axis=1)[: shape.height, : shape.width]


def read_images(folder: Path, shape: Shape, *, progress: Progress) -> Iterator[NDArray[np.uint8]]:
    """Yield the images below a folder, each brought to (H, W, 3) bilinearly, whatever its aspect; `progress` shows them.

    Raises:
        ValueError: there is none, or one is damaged.
    """
    files = find_images(folder) if folder.is_dir() else []
    if not files:
        raise ValueError(f"--images - expected a folder of images, {', '.join(sorted(IMAGE_SUFFIXES))} - found none in {folder}")
    for file in progress(files, total=len(files), unit="image"):
        yield resize_image(read_image(file), (shape.height, shape.width))
