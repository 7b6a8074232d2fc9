"""Images are opened by windows where that gives the same pixels, else whole, and of any number of pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.rasters import geotiff, source
from pipeline.rasters.blocks import ImageError
from pipeline.rasters.geotiff import Raster
from pipeline.rasters.source import Decoded, count_pixels, open_source, read_whole
from pipeline.samples.images import read_image
from tests.rasters.scans import needs_rasterio, pixels, write_scan

RGB = pixels(40, 50)
ROWS, COLUMNS = slice(3, 30), slice(11, 50)


def opened(path: Path, *, georeferenced: bool = False) -> type:
    """Return how a file is opened; its pixels must be those that every command reads."""
    with open_source(path, georeferenced=georeferenced) as image:
        expected = read_image(path)
        assert image.size == expected.shape[:2]
        assert np.array_equal(image.read(ROWS, COLUMNS), expected[ROWS, COLUMNS])
        return type(image)


@needs_rasterio
def test_plain_tiff_files_are_read_by_windows(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.tif", RGB, georeferenced=False, tiled=True, blockxsize=16, blockysize=16)
    assert opened(tmp_path / "a.tif") is Raster
    Image.fromarray(RGB[..., 0]).save(tmp_path / "gray.tif")
    assert opened(tmp_path / "gray.tif") is Raster


@needs_rasterio
def test_tiff_files_that_decoders_show_differently_are_decoded_whole(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "turned.tif", tiffinfo={274: 6})
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "cmyk.tif")
    Image.fromarray(RGB).quantize(16).save(tmp_path / "palette.tif")
    assert [opened(tmp_path / f"{name}.tif") for name in ("turned", "cmyk", "palette")] == [Decoded] * 3


def test_turned_photos_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(RGB).save(tmp_path / "turned.jpg", exif=exif)
    assert opened(tmp_path / "turned.jpg") is Decoded
    with open_source(tmp_path / "turned.jpg", georeferenced=False) as image:
        assert image.size == (50, 40)
        assert image.georeference is None
        assert image.empty(ROWS, COLUMNS) is None


def test_pillows_limit_on_pixels_is_about_files_of_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match="exceeds limit"):
        read_image(tmp_path / "a.png")
    assert np.array_equal(read_whole(tmp_path / "a.png"), RGB)
    assert count_pixels(tmp_path / "a.png", georeferenced=False) == 2000
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(("name", "remedy"), [("a.png", "save it as TIFF in tiles"), ("a.tif", "install the extra `geo`")])
def test_an_image_beyond_memory_is_told_in_a_line(
    name: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(RGB).save(tmp_path / name)
    monkeypatch.setattr(source, "DECODED_BYTES", 2**50)
    monkeypatch.setattr(geotiff, "find_spec", lambda _: None)
    with pytest.raises(ImageError, match=rf"{name} - expected .* GiB of memory for 40x50 pixels at once - found .* - {remedy}"):
        read_whole(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_damaged_image_has_no_pixels_until_it_is_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert count_pixels(tmp_path / "a.png", georeferenced=False) == 0
    with pytest.raises(ImageError, match=r"a\.png - expected an image file"):
        read_whole(tmp_path / "a.png")
