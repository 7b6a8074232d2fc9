"""Image files, label files and palette PNGs as arrays, and back."""

import hashlib
import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.sample_lists import Sample

NO_LABEL_COLOR = (224, 224, 224)
"""Of pixels without a label, in every picture."""

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM")
"""What files are read as, whatever they are called. Image sets may be foreign, and Pillow starts Ghostscript on PostScript."""

_NOT_LISTED = 256
"""Marks values that a catalog does not list, in a table whose train ids end at 255."""

_ASPECT_TOLERANCE = 0.02
"""ScanNet's 1296x968 and 640x480 show the same view and differ by half a percent."""


def read_image(path: Path, *, sha256: str = "") -> NDArray[np.uint8]:
    """Read an image as viewers show it: its EXIF orientation is applied.

    Args:
        path: one of `FORMATS`; of several frames the first counts.
        sha256: of the file when it was listed; "" = not known.

    Returns:
        (H, W, 3) uint8, RGB; gray, palette, CMYK and transparent images are converted, without color profiles and without their
        transparency; of 16 bits a channel the upper 8 are taken, of gray as of color.

    Raises:
        ValueError: the file is missing, truncated, no image, gray of 32 bits or of floats, or not the file that was listed.
    """
    pixels = _decode(path, mode="RGB", sha256=sha256, deep=True)
    if pixels.ndim == 2:  # gray of 16 bits, which Pillow would cut at 255
        pixels = np.repeat((pixels >> 8)[..., None], 3, axis=2)
    return pixels.astype(np.uint8, copy=False)


def is_turned(path: Path) -> bool:
    """Tell whether an image has an EXIF orientation by which viewers turn or mirror it.

    Raises:
        ValueError: it is no image.
    """
    with _open(path, _content(path, sha256="")) as picture:
        return _orientation(picture) != 1


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of an image file as viewers show it, without decoding it.

    Raises:
        ValueError: it is no image.
    """
    with _open(path, _content(path, sha256="")) as picture:
        width, height = picture.size
        # Orientations from 5 on turn by a quarter; of TIFF, Pillow gives the size upright.
        return (width, height) if _orientation(picture) >= 5 and picture.format != "TIFF" else (height, width)


def image_of(sample: Sample) -> NDArray[np.uint8]:
    """Read the image of a listed sample, (H, W, 3) uint8, RGB.

    Raises:
        ValueError: see `read_image`, or it has another size than listed.
    """
    image = read_image(sample.image, sha256=sample.image_sha256)
    if image.shape[:2] != sample.size:
        raise ValueError(
            f"{sample.image} - expected an image of size {sample.size} - found {image.shape[:2]} - run the stage `prepare`"
        )
    return image


def image_reader(samples: Sequence[Sample]) -> Callable[[int], NDArray[np.uint8]]:
    """Return a function that reads the image of a sample by its place in the list, for whoever reads ahead."""
    return lambda place: image_of(samples[place])


def labels_of(sample: Sample, catalog: Catalog) -> NDArray[np.uint8]:
    """Read the label file of a listed sample that has one, (H, W) uint8 train ids; see `read_labels`."""
    assert sample.labels is not None, "a labeled list has label files"
    return read_labels(sample.labels, catalog, size=sample.size, sha256=sample.labels_sha256)


def read_labels(path: Path, catalog: Catalog, *, size: tuple[int, int], sha256: str = "") -> NDArray[np.uint8]:
    """Read a label file and translate its values into train ids.

    Args:
        path: an image with one value per pixel (gray of 1, 8 or 16 bits, or palette indices; transparency beside it does not
            count), for a catalog of colors an RGB or palette image, or a .mat file of SBD.
        catalog: says which value means which train id.
        size: (height, width) of the image that it labels, as viewers show it.
        sha256: of the file when it was listed; "" = not known.

    Returns:
        (H, W) uint8, train ids and `IGNORE_INDEX`.

    Raises:
        ValueError: unreadable, several channels where one is expected, another size than the catalog allows, or a value
            that the catalog does not list.
    """
    values = read_label_values(path, catalog.encoding, sha256=sha256)
    if catalog.any_size:
        values = _resample(values, size)
    if values.shape != size:
        turned = values.shape == size[::-1]
        remedy = "turn them as viewers show the image: its EXIF orientation counts" if turned else "correct the pair"
        raise ValueError(f"{path} - expected labels of the image's size {size} - found {values.shape} - {remedy}")
    translated = _translate(values, tuple(sorted(catalog.train_ids.items())))
    if int(translated.max()) == _NOT_LISTED:
        unknown = next(int(value) for value in np.unique(values) if int(value) not in catalog.train_ids)
        shown = f"#{unknown:06x}" if catalog.encoding == "color" else unknown
        raise ValueError(
            f"{path} - expected values of {catalog.name}'s classes - found {shown} - correct the label file or the class list"
        )
    return translated.astype(np.uint8)


def read_label_values(path: Path, encoding: Literal["index", "color"], *, sha256: str = "") -> NDArray[np.integer[Any]]:
    """Return the (H, W) values of a label file that a catalog translates: numbers, or colors as `pack_color` packs them.

    Raises:
        ValueError: unreadable, or several channels where numbers are expected.
    """
    if encoding == "color":
        colors = _decode(path, mode="RGB", sha256=sha256).astype(np.uint32)
        return colors[..., 0] << 16 | colors[..., 1] << 8 | colors[..., 2]
    values = _decode_sbd(path, sha256) if path.suffix == ".mat" else _decode(path, mode=None, sha256=sha256)
    if values.dtype == np.bool_:  # a mask of one bit
        values = values.astype(np.uint8)
    if values.ndim == 3 and values.shape[2] == 2:  # gray, or an index, and transparency
        values = values[..., 0]
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{path} - expected one integer per pixel - found {values.dtype} {values.shape} - save it as gray or palette PNG,"
            " or declare labels by color"
        )
    return values


def read_palette(path: Path) -> list[tuple[int, int, int]]:
    """Return the colors of a palette image, by index; none of another image.

    Raises:
        ValueError: it is no image.
    """
    with _open(path, _content(path, sha256="")) as picture:
        flat = (picture.getpalette("RGB") or []) if picture.mode in {"P", "PA"} else []
        return [(flat[place], flat[place + 1], flat[place + 2]) for place in range(0, len(flat) - 2, 3)]


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


def _decode(path: Path, *, mode: str | None, sha256: str = "", deep: bool = False) -> NDArray[Any]:
    """Return the pixels of a file, converted to `mode` but for gray of 16 bits, which is an error unless `deep`."""
    content = _content(path, sha256=sha256)
    with _open(path, content) as picture:
        if picture.format == "PNG" and not sha256:
            _check_png(path, content)
        keep = mode is None or picture.mode == mode or (deep and picture.mode.startswith("I;16"))
        if not keep and picture.mode.startswith(("I", "F")):
            raise ValueError(
                f"{path} - expected 8 bits per channel - found {picture.mode} pixels - save it with 8 bits per channel"
            )
        try:
            if _orientation(picture) != 1:
                ImageOps.exif_transpose(picture, in_place=True)
            return np.asarray(picture if keep or mode is None else picture.convert(mode))
        except MemoryError:
            raise
        except Exception as error:  # of damaged files, the decoders each raise their own
            raise _no_image(path, error) from error


def _check_png(path: Path, content: bytes) -> None:
    """Compare the checksums of a PNG: decoding stops at the last pixel and may not look at them."""
    with _open(path, content) as picture:
        try:
            picture.verify()
        except (OSError, SyntaxError, ValueError) as error:
            raise _no_image(path, error) from error


def _content(path: Path, *, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"{path} - expected an image file - found none - restore the file") from error
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(
            f"{path} - expected the file that the stage `prepare` has seen - found another content - restore it or run `prepare`"
        )
    return content


def _open(path: Path, content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except MemoryError:
        raise
    # Pillow raises SyntaxError for broken PNG chunks, its own DecompressionBombError for absurd sizes, and others.
    except Exception as error:
        raise _no_image(path, error) from error


def _no_image(path: Path, error: Exception) -> ValueError:
    # What Pillow says of an unknown format names the memory that it looked at.
    unknown = f"none of {', '.join(FORMATS)}"
    found = unknown if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split()) or repr(error)
    return ValueError(f"{path} - expected an image file - found {found} - replace the damaged file")


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1, as stored, where there is none or it is damaged, as viewers do."""
    with suppress(Exception):
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return orientation if orientation in range(2, 9) else 1
    return 1


def _decode_sbd(path: Path, sha256: str) -> NDArray[Any]:
    """Return `GTcls.Segmentation` of a MATLAB file of SBD (Hariharan et al., ICCV 2011)."""
    from scipy.io import loadmat  # SBD alone needs it, and every stage reads images

    content = _content(path, sha256=sha256)
    try:
        labels: NDArray[Any] = loadmat(io.BytesIO(content))["GTcls"]["Segmentation"][0, 0]
    except MemoryError:
        raise
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
