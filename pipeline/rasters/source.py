"""Where the pixels of an image come from: a file of which windows are read, or one that its decoder reads whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import ExifTags, Image

from pipeline.rasters.blocks import ImageError
from pipeline.rasters.geotiff import TIFF_SUFFIXES, Georeference, can_read_windows, open_raster
from pipeline.samples.images import FORMATS, read_image

LARGE = 2**22
"""Pixels; of more, what is predicted in windows is not put together in memory."""
DECODED_BYTES = 10
"""For each pixel, while Pillow decodes: 4 of its own picture, 3 of a copy in parts and 3 of the array. The array stays."""

_EXTRA_SAMPLES, _PHOTOMETRIC = 338, 262
"""Tags of TIFF."""


class Source(Protocol):
    """Pixels of an image, by windows."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""

    @property
    def georeference(self) -> Georeference | None:
        """Where on Earth it lies; None: of an image that does not say."""

    def read(self, rows: slice, columns: slice, /) -> NDArray[np.uint8]:
        """Return (h, w, 3) uint8 RGB of a window, or raise an `ImageError`."""

    def empty(self, rows: slice, columns: slice, /) -> NDArray[np.bool_] | None:
        """Return (h, w): where a window holds no data; None: nowhere."""


class Decoded(NamedTuple):
    """An image that is there whole, (H, W, 3) uint8 RGB."""

    pixels: NDArray[np.uint8]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def georeference(self) -> None:
        """None: no format that is decoded whole has one."""

    def read(self, rows: slice, columns: slice, /) -> NDArray[np.uint8]:
        """Return (h, w, 3) uint8 RGB of a window."""
        return self.pixels[rows, columns]

    def empty(self, rows: slice, columns: slice, /) -> None:
        """Return None: transparency does not count, as nowhere in the pipeline."""


@contextmanager
def open_source(path: Path, *, georeferenced: bool) -> Iterator[Source]:
    """Open an image: by windows where it has a georeference, or is a TIFF of a kind that gives the same pixels so; else whole.

    Raises:
        ImageError: it is none, or one that does not fit into memory and has to be decoded whole.
    """
    if georeferenced or (can_read_windows() and _is_plain_tiff(path)):
        with open_raster(path) as raster:
            yield raster
    else:
        yield Decoded(read_whole(path))


def read_whole(path: Path) -> NDArray[np.uint8]:
    """Do what `read_image` does, of an image of any number of pixels: Pillow's limit is about files of strangers.

    Raises:
        ImageError: it is none, or memory does not suffice to decode it.
    """
    height, width = _size_of(path)
    by_windows = path.suffix.lower() in TIFF_SUFFIXES and not can_read_windows()
    remedy = "install the extra `geo`, by which windows are read" if by_windows else "save it as TIFF in tiles, RGB of 8 bits"
    expect_memory(path, (height, width), DECODED_BYTES, remedy=f"{remedy}, or cut it")
    with _any_number_of_pixels():
        try:
            return read_image(path)
        except ValueError as error:
            raise ImageError(str(error)) from error


def count_pixels(path: Path, *, georeferenced: bool) -> int:
    """Return the pixels of an image without decoding it; 0 of a damaged one, as whoever reads it tells."""
    if not georeferenced:
        height, width = _size_of(path)
        return height * width
    try:
        with open_raster(path) as raster:
            return raster.size[0] * raster.size[1]
    except ImageError:
        return 0


def expect_memory(path: Path, size: tuple[int, int], bytes_per_pixel: int, *, remedy: str) -> None:
    """Check that memory suffices, where too little of it would end the process without a word.

    Raises:
        ImageError: there is less than an image of `size`, height and width, needs.
    """
    needed, there = size[0] * size[1] * bytes_per_pixel, psutil.virtual_memory().available
    if needed > there:
        raise ImageError(
            f"{path} - expected {needed / 2**30:.1f} GiB of memory for {size[0]}x{size[1]} pixels at once"
            f" - found {there / 2**30:.1f} GiB free - {remedy}"
        )


def _size_of(path: Path) -> tuple[int, int]:
    """Return height and width of an image as stored, (0, 0) of a damaged one."""
    try:
        with _any_number_of_pixels(), Image.open(path, formats=FORMATS) as picture:
            return picture.height, picture.width
    except Exception:  # noqa: BLE001 - of damaged files each raises its own; whoever reads the pixels tells
        return 0, 0


def _is_plain_tiff(path: Path) -> bool:
    """Return whether Pillow and GDAL show the pixels of a TIFF alike: upright gray or RGB of 8 bits, or gray of 16."""
    try:
        with _any_number_of_pixels(), Image.open(path, formats=["TIFF"]) as picture:
            tags = dict(getattr(picture, "tag_v2", {}))
            return (
                picture.mode in {"L", "RGB", "RGBA", "I;16", "I;16B"}
                and tags.get(_PHOTOMETRIC) in {1, 2}
                and tags.get(_EXTRA_SAMPLES, ()) in {(), (0,), (2,)}
                and tags.get(ExifTags.Base.Orientation, 1) == 1
            )
    except Exception:  # noqa: BLE001 - likewise
        return False


@contextmanager
def _any_number_of_pixels() -> Iterator[None]:
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
