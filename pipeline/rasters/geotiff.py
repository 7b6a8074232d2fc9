"""TIFF files by windows and with their georeference, through rasterio: an extra, which nothing else needs."""

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.rasters.blocks import ImageError, Read

TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
TILE = 512
"""Side of the tiles that are written, pixels."""

_CACHE_MB = 64
"""Of decoded tiles that GDAL keeps; by itself it takes a twentieth of the machine's memory."""
_TAGS = frozenset({33550, 33922, 34264, 34735})
"""By which a file carries a georeference: pixel scale, tie points, transformation, keys."""


class Georeference(NamedTuple):
    """Where on Earth a raster lies, as rasterio has it; what a file lacks is None or empty."""

    crs: Any
    transform: Any
    gcps: Any
    """Ground control points and their own coordinate system."""
    rpcs: Any
    """Rational polynomial coefficients."""


def can_read_windows() -> bool:
    """Return whether rasterio is installed."""
    return find_spec("rasterio") is not None


def is_georeferenced(path: Path) -> bool:
    """Return whether a file is a TIFF with a georeference; without rasterio, by its tags alone. Of a damaged file: no."""
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return False
    if not can_read_windows():
        try:
            with Image.open(path, formats=["TIFF"]) as picture:
                return bool(_TAGS & set(getattr(picture, "tag_v2", ())))
        except Exception:  # noqa: BLE001 - of damaged files each raises its own; whoever reads the pixels tells
            return False
    try:
        with _open(path) as file:
            return bool(file.crs or not file.transform.is_identity or file.gcps[0] or file.rpcs)
    except ImageError:
        return False


class Raster:
    """An open TIFF file. Only the tiles or strips that a window needs are decoded.

    Gray is repeated; of gray and another band the first counts; color indices become their colors; of three bands or more the
    first three are red, green and blue. Of 16 bits the upper 8 are taken, as everywhere. No EXIF orientation is applied.
    """

    def __init__(self, path: Path, file: Any) -> None:  # noqa: ANN401 - rasterio has no types
        """Take an open file; see `open_raster`.

        Raises:
            ImageError: its pixels are none that can be shown as RGB.
        """
        self._path, self._file = path, file
        self.size: tuple[int, int] = (file.height, file.width)
        self._bands = [1, 2, 3] if file.count >= 3 else [1]
        self._shift = {"uint8": 0, "uint16": 8}.get(file.dtypes[0], -1)
        colors = {color.name for color in file.colorinterp}
        if file.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE"):
            found = "gray with 0 as white"
        elif "cyan" in colors:
            found = "CMYK"
        elif bits := file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS"):
            found = f"{bits} bits"
        else:
            types = {file.dtypes[band - 1] for band in self._bands}
            found = "" if len(types) == 1 and self._shift >= 0 else ", ".join(sorted(types))
        if found:
            raise ImageError(
                f"{path} - expected gray, color indices or RGB of 8 or 16 bits per channel, unsigned - found {found}"
                " - convert it, for instance by `gdal_translate -ot Byte -scale`"
            )
        self._colors = _colors(file) if "palette" in colors and file.count == 1 else None
        self._has_gaps = any("all_valid" not in {flag.name for flag in flags} for flags in file.mask_flag_enums)

    @property
    def georeference(self) -> Georeference:
        """Where it lies."""
        transform = None if self._file.transform.is_identity else self._file.transform
        return Georeference(self._file.crs, transform, self._file.gcps, self._file.rpcs)

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return the pixels of a window, (h, w, 3) uint8 RGB.

        Raises:
            ImageError: a tile is damaged or missing.
        """
        with _told(self._path):
            values = self._file.read(self._bands, window=(_pair(rows), _pair(columns)))
        pixels: NDArray[np.uint8] = (values >> self._shift).astype(np.uint8, copy=False)
        if self._colors is not None:
            pixels = np.moveaxis(self._colors[pixels[0]], -1, 0)
        return np.ascontiguousarray(np.moveaxis(np.broadcast_to(pixels, (3, *pixels.shape[1:])), 0, -1))

    def empty(self, rows: slice, columns: slice) -> NDArray[np.bool_] | None:
        """Return (h, w): where neither its nodata value, nor its mask, nor its alpha band leaves data; None: nowhere.

        Raises:
            ImageError: a tile is damaged or missing.
        """
        if not self._has_gaps:
            return None
        with _told(self._path):
            mask: NDArray[np.uint8] = self._file.dataset_mask(window=(_pair(rows), _pair(columns)))
            return np.equal(mask, 0)


@contextmanager
def open_raster(path: Path) -> Iterator[Raster]:
    """Open a TIFF file to read windows of it.

    Raises:
        ImageError: it is no TIFF, or one of other pixels than `Raster` reads.
    """
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB), _open(path) as file:
        yield Raster(path, file)


def write_geotiff(
    path: Path,
    size: tuple[int, int],
    read: Read,
    *,
    georeference: Georeference,
    channels: int = 1,
    palette: bytes | None = None,
    nodata: int | None = None,
) -> None:
    """Write a TIFF of 8 bits in deflated tiles, as BigTIFF where it might exceed 4 GiB.

    Args:
        path: of the file; its folder exists.
        size: height and width.
        read: from rows and columns to (h, w) uint8, for 3 channels to (h, w, 3); asked for a tile at a time.
        georeference: of the file.
        channels: 1 or 3, RGB.
        palette: 256 RGB triples, by value; None: no colors of its own.
        nodata: the value that says that a pixel holds no data; None: none does.

    Raises:
        OSError: it cannot be written.
    """
    import rasterio

    (gcps, gcps_crs), transform = georeference.gcps, georeference.transform
    where = {"gcps": gcps, "crs": gcps_crs} if gcps else {"crs": georeference.crs, "transform": transform}
    layout = {"tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "deflate", "bigtiff": "if_safer"}
    kind = {"driver": "GTiff", "dtype": "uint8", "count": channels, "nodata": nodata}
    if channels == 3:
        kind |= {"photometric": "rgb", "predictor": 2}
    try:
        with rasterio.open(path, "w", height=size[0], width=size[1], rpcs=georeference.rpcs, **kind, **layout, **where) as file:
            if palette is not None:
                file.write_colormap(1, {value: tuple(palette[3 * value : 3 * value + 3]) for value in range(256)})
            for rows, columns in _tiles(size):
                pixels = read(rows, columns)
                file.write(np.moveaxis(pixels, -1, 0) if channels == 3 else pixels[None], window=(_pair(rows), _pair(columns)))
    except rasterio.errors.RasterioError as error:
        raise OSError(errno.EIO, " ".join(str(error.__cause__ or error).split()), str(path)) from error


def _tiles(size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of each tile."""
    for top in range(0, size[0], TILE):
        for left in range(0, size[1], TILE):
            yield slice(top, min(top + TILE, size[0])), slice(left, min(left + TILE, size[1]))


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with _told(path):
            file = rasterio.open(path, driver="GTiff")
        with file:
            yield file


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn an error of GDAL into a line."""
    import rasterio

    try:
        yield
    except rasterio.errors.RasterioError as error:
        said = " ".join(str(error.__cause__ or error).split()).removeprefix(f"{path}: ")
        raise ImageError(f"{path} - expected an image file - found {said} - replace the damaged file") from error


def _pair(part: slice) -> tuple[int, int]:
    return part.start, part.stop


def _colors(file: Any) -> NDArray[np.uint8]:  # noqa: ANN401 - rasterio has no types
    """Return (256, 3): the color of each index."""
    table = np.zeros((256, 3), np.uint8)
    for index, color in file.colormap(1).items():
        table[index] = color[:3]
    return table
