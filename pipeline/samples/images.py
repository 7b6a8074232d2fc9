"""Image files, label files and palette PNGs as arrays, and back."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import loadmat

from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.sample_lists import Sample

NO_LABEL_COLOR = (224, 224, 224)
"""Of pixels without a label, in every picture."""

_NOT_LISTED = 256
"""Marks values that a catalog does not list, in a table whose train ids end at 255."""

_ASPECT_TOLERANCE = 0.02
"""ScanNet's 1296x968 and 640x480 show the same view and differ by half a percent."""


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image.

    Returns:
        (H, W, 3) uint8, RGB; gray, palette and transparent images are converted.

    Raises:
        ValueError: the file is missing, truncated, no image, or has more than 8 bits per channel.
    """
    return _decode(path, mode="RGB").astype(np.uint8, copy=False)


def image_reader(samples: Sequence[Sample]) -> Callable[[int], NDArray[np.uint8]]:
    """Return a function that reads the image of a sample by its place in the list, for whoever reads ahead."""
    return lambda place: read_image(samples[place].image)


def read_labels(path: Path, catalog: Catalog, *, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read a label file and translate its values into train ids.

    Args:
        path: an image with one value per pixel (gray of 8 or 16 bits, or palette indices), for a catalog of colors an RGB or
            palette image, or a .mat file of SBD.
        catalog: says which value means which train id.
        size: (height, width) of the image that it labels.

    Returns:
        (H, W) uint8, train ids and `IGNORE_INDEX`.

    Raises:
        ValueError: unreadable, several channels where one is expected, another size than the catalog allows, or a value
            that the catalog does not list.
    """
    values = _decode_values(path, catalog)
    if catalog.any_size:
        values = _resample(values, size)
    if values.shape != size:
        raise ValueError(f"{path} - expected labels of the image's size {size} - found {values.shape} - correct the pair")
    translated = _translate(values, tuple(sorted(catalog.train_ids.items())))
    if int(translated.max()) == _NOT_LISTED:
        unknown = next(int(value) for value in np.unique(values) if int(value) not in catalog.train_ids)
        shown = f"#{unknown:06x}" if catalog.encoding == "color" else unknown
        raise ValueError(
            f"{path} - expected values of {catalog.name}'s classes - found {shown} - correct the label file or the class list"
        )
    return translated.astype(np.uint8)


def write_label_png(path: Path, labels: NDArray[np.uint8], colors: Sequence[tuple[int, int, int]]) -> None:
    """Write (H, W) train ids and `IGNORE_INDEX` as an 8-bit palette PNG that any viewer shows in the data set's (C,) colors.

    Its folder exists; see `palette` for every other index.
    """
    picture = Image.fromarray(labels, mode=None)
    picture.putpalette(palette(tuple(colors)))
    # Level 1 with filter "none" is what such maps compress best for the time; DVC and git do not compress again.
    picture.save(path, format="PNG", compress_level=1)


def read_label_png(path: Path, *, num_classes: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read what `write_label_png` wrote.

    Returns:
        (H, W) uint8, train ids in 0..C-1 and `IGNORE_INDEX`.

    Raises:
        ValueError: unreadable, no palette or gray image, another size, or a value outside the classes.
    """
    labels = _decode(path, mode=None)
    if labels.shape != size or labels.dtype != np.uint8:
        raise ValueError(
            f"{path} - expected uint8 labels of size {size} - found {labels.dtype} {labels.shape} - run the stage that writes it"
        )
    outside = labels[(labels >= num_classes) & (labels != IGNORE_INDEX)]
    if outside.size:
        raise ValueError(
            f"{path} - expected train ids below {num_classes} or {IGNORE_INDEX} - found {outside[0]}"
            " - run the stage that writes it"
        )
    return labels.astype(np.uint8, copy=False)


def _decode(path: Path, *, mode: str | None) -> NDArray[Any]:
    try:
        with Image.open(path) as picture:
            if mode == "RGB" and picture.mode.startswith(("I", "F")):
                raise ValueError(f"found {picture.mode} pixels, expected 8 bits per channel")  # noqa: TRY301 - one door for all
            return np.asarray(picture if mode is None or picture.mode == mode else picture.convert(mode))
    except FileNotFoundError as error:
        raise ValueError(f"{path} - expected an image file - found none - restore the file") from error
    # Pillow raises SyntaxError for broken PNG chunks and its own DecompressionBombError for absurd sizes.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} - expected an image file - {' '.join(str(error).split())} - replace the damaged file"
        ) from error


def _decode_values(path: Path, catalog: Catalog) -> NDArray[np.integer[Any]]:
    """Return the (H, W) values that a catalog translates."""
    if catalog.encoding == "color":
        colors = _decode(path, mode="RGB").astype(np.uint32)
        return colors[..., 0] << 16 | colors[..., 1] << 8 | colors[..., 2]
    values = _decode_sbd(path) if path.suffix == ".mat" else _decode(path, mode=None)
    if values.ndim != 2 or values.dtype == np.bool_ or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{path} - expected one integer per pixel - found {values.dtype} {values.shape} - save it as gray or palette PNG,"
            " or declare labels by color"
        )
    return values


def _decode_sbd(path: Path) -> NDArray[Any]:
    """Return `GTcls.Segmentation` of a MATLAB file of SBD (Hariharan et al., ICCV 2011)."""
    try:
        with path.open("rb") as handle:
            labels: NDArray[Any] = loadmat(handle)["GTcls"]["Segmentation"][0, 0]
    except FileNotFoundError as error:
        raise ValueError(f"{path} - expected a label file of SBD - found none - restore the file") from error
    # scipy raises whatever its parser stumbles over in a damaged file.
    except Exception as error:
        raise ValueError(
            f"{path} - expected a label file of SBD - {' '.join(str(error).split())} - replace the damaged file"
        ) from error
    return labels


def _resample(values: NDArray[np.integer[Any]], size: tuple[int, int]) -> NDArray[np.integer[Any]]:
    """Return the nearest values at another resolution, half-pixel centers; as they are where the view is another one."""
    height, width = values.shape
    if values.shape == size or abs(height * size[1] - width * size[0]) > _ASPECT_TOLERANCE * width * size[0]:
        return values
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(values.shape, size, strict=True))
    return values[np.ix_(rows, columns)]


def _translate(values: NDArray[np.integer[Any]], pairs: tuple[tuple[int, int], ...]) -> NDArray[np.uint16]:
    """Return train ids, `_NOT_LISTED` where a value is not among the ascending `pairs`."""
    highest = pairs[-1][0]
    if highest < 2**16 and int(values.min()) >= 0 and int(values.max()) <= highest:
        translated: NDArray[np.uint16] = _train_id_table(pairs)[values]
        return translated
    # A table of all colors would have 16 million entries: few are listed, and a search among them finds them as well.
    listed = np.array([value for value, _ in pairs], np.int64)
    train_ids = np.array([train_id for _, train_id in pairs], np.uint16)
    places = np.searchsorted(listed, values).clip(max=len(listed) - 1)
    return np.where(listed[places] == values, train_ids[places], np.uint16(_NOT_LISTED)).astype(np.uint16, copy=False)


@cache
def _train_id_table(pairs: tuple[tuple[int, int], ...]) -> NDArray[np.uint16]:
    table = np.full(pairs[-1][0] + 1, _NOT_LISTED, np.uint16)
    for value, train_id in pairs:
        table[value] = train_id
    return table


@cache
def palette(colors: tuple[tuple[int, int, int], ...]) -> bytes:
    """Return 256 RGB triples for Pillow: the (C,) colors of the classes, `NO_LABEL_COLOR` at `IGNORE_INDEX`, else black."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    table[IGNORE_INDEX] = NO_LABEL_COLOR
    return table.tobytes()
