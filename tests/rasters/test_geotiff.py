"""GeoTIFF files give the pixels that every command reads, and keep where they lie."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.rasters import geotiff
from pipeline.rasters.blocks import ImageError
from pipeline.rasters.geotiff import is_georeferenced, open_raster, write_geotiff
from pipeline.samples.images import palette, read_image
from tests.rasters.scans import needs_rasterio, pixels, write_scan

pytestmark = needs_rasterio
ALL = slice(0, 40), slice(0, 50)
RGB = pixels(40, 50)


def read(path: Path, rows: slice = ALL[0], columns: slice = ALL[1]) -> np.ndarray:
    with open_raster(path) as raster:
        assert raster.size == (40, 50)
        return raster.read(rows, columns)


@pytest.mark.parametrize(
    ("bands", "layout"),
    [
        (RGB, {}),
        (RGB, {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate", "predictor": 2}),
        (RGB, {"interleave": "band"}),
        (RGB.astype(np.uint16) * 257, {"photometric": "rgb"}),
        (RGB[..., 0], {}),
        (RGB[..., 0].astype(np.uint16) * 200, {}),
        (np.dstack([RGB, RGB[..., 0]]), {"photometric": "rgb", "alpha": "unspecified"}),
        (RGB, {"bigtiff": "yes"}),
    ],
)
def test_windows_are_parts_of_what_every_other_command_reads(bands: np.ndarray, layout: dict[str, Any], tmp_path: Path) -> None:
    write_scan(tmp_path / "a.tif", bands, **layout)
    expected = read_image(tmp_path / "a.tif")
    assert np.array_equal(read(tmp_path / "a.tif"), expected)
    found = read(tmp_path / "a.tif", slice(7, 23), slice(31, 50))
    assert np.array_equal(found, expected[7:23, 31:50])
    assert found.flags.c_contiguous


def test_of_many_bands_the_first_three_are_the_colors_and_of_two_the_first_is_gray(tmp_path: Path) -> None:
    write_scan(tmp_path / "five.tif", np.dstack([RGB, RGB]))
    assert np.array_equal(read(tmp_path / "five.tif"), RGB)
    write_scan(tmp_path / "two.tif", RGB[..., :2])
    assert np.array_equal(read(tmp_path / "two.tif"), RGB[..., :1].repeat(3, axis=2))


@pytest.mark.parametrize(
    ("bands", "layout", "found"),
    [
        (RGB.astype(np.float32), {}, "float32"),
        (RGB.astype(np.int16), {}, "int16"),
        (RGB[..., 0], {"photometric": "miniswhite"}, "gray with 0 as white"),
        (RGB[..., 0] >> 4, {"nbits": 4}, "4 bits"),
    ],
)
def test_other_pixels_are_refused_in_a_line(bands: np.ndarray, layout: dict[str, Any], found: str, tmp_path: Path) -> None:
    write_scan(tmp_path / "a.tif", bands, **layout)
    with pytest.raises(ImageError, match=rf"a.tif - expected gray, color indices or RGB of 8 or 16 .* - found {found} - convert"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("layout", "bands"),
    [
        ({"nodata": 0}, np.where(np.arange(50)[None, :, None] < 9, np.uint8(0), RGB)),
        (
            {"photometric": "rgb", "alpha": "yes"},
            np.dstack([RGB, np.where(np.arange(50) < 9, 0, 255).astype(np.uint8)[None].repeat(40, 0)]),
        ),
    ],
)
def test_nodata_values_and_alpha_say_where_there_is_no_data(layout: dict[str, Any], bands: np.ndarray, tmp_path: Path) -> None:
    write_scan(tmp_path / "a.tif", bands, **layout)
    with open_raster(tmp_path / "a.tif") as raster:
        empty = raster.empty(slice(3, 40), slice(5, 50))
    assert empty is not None
    assert np.array_equal(empty, np.broadcast_to(np.arange(5, 50) < 9, (37, 45)))


def test_a_file_without_gaps_says_so_at_no_cost(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.tif", RGB)
    with open_raster(tmp_path / "a.tif") as raster:
        assert raster.empty(*ALL) is None


def control_points() -> dict[str, Any]:
    from rasterio.control import GroundControlPoint

    corners = ((0, 0, 10.0, 50.0), (0, 50, 11.0, 50.0), (40, 0, 10.0, 49.0))
    return {"gcps": [GroundControlPoint(*corner, 0.0) for corner in corners], "crs": "EPSG:4326", "transform": None}


def rotated() -> dict[str, Any]:
    from rasterio import Affine

    return {"transform": Affine(0.3, 0.1, 400_000, 0.1, -0.3, 6_000_000), "crs": "EPSG:25832"}


@pytest.mark.parametrize("where", [dict, control_points, rotated])
def test_what_is_written_lies_where_what_was_read_lies(where: Any, tmp_path: Path) -> None:
    import rasterio

    write_scan(tmp_path / "a.tif", RGB, **where())
    assert is_georeferenced(tmp_path / "a.tif")
    labels = RGB[..., 0] % 4
    colors = palette(((1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11, 12)))
    with open_raster(tmp_path / "a.tif") as raster:
        write_geotiff(
            tmp_path / "b.tif",
            raster.size,
            lambda rows, columns: labels[rows, columns],
            georeference=raster.georeference,
            palette=colors,
            nodata=255,
        )
    with rasterio.open(tmp_path / "a.tif") as ours, rasterio.open(tmp_path / "b.tif") as written:
        assert written.crs == ours.crs
        assert written.transform == ours.transform
        assert [point.asdict() | {"id": ""} for point in written.gcps[0]] == [
            point.asdict() | {"id": ""} for point in ours.gcps[0]
        ]
        assert written.gcps[1] == ours.gcps[1]
        assert written.nodata == 255
        assert written.colormap(1)[3] == (10, 11, 12, 255)
        assert np.array_equal(written.read(1), labels)
        assert written.block_shapes == [(geotiff.TILE, geotiff.TILE)]


def test_tiles_at_the_borders_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geotiff, "TILE", 16)
    write_scan(tmp_path / "a.tif", RGB)
    with open_raster(tmp_path / "a.tif") as raster:
        write_geotiff(tmp_path / "b.tif", (40, 50), raster.read, georeference=raster.georeference, channels=3)
    assert np.array_equal(read(tmp_path / "b.tif"), RGB)


def test_a_folder_that_takes_no_file_is_told_as_such(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.tif", RGB)
    with open_raster(tmp_path / "a.tif") as raster, pytest.raises(OSError, match="missing") as error:
        write_geotiff(tmp_path / "missing/b.tif", (40, 50), raster.read, georeference=raster.georeference, channels=3)
    assert error.value.filename == str(tmp_path / "missing/b.tif")


def test_a_damaged_tile_is_told_in_a_line(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.tif", RGB, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[3000:3600] = bytes(600)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ImageError, match=r"a.tif - expected an image file - found a.tif, band 1: .* - replace the damaged file$"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("content", [b"", b"no image", b"II*\0\xff\xff\xff\xff"])
def test_what_is_no_tiff_has_no_georeference(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    assert not is_georeferenced(tmp_path / "a.tif")


def test_without_rasterio_the_tags_tell_of_a_georeference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scan(tmp_path / "a.tif", RGB)
    write_scan(tmp_path / "plain.tif", RGB, georeferenced=False)
    (tmp_path / "damaged.tif").write_bytes(b"II*\0\xff")
    monkeypatch.setattr(geotiff, "find_spec", lambda _: None)
    assert [is_georeferenced(tmp_path / name) for name in ("a.tif", "plain.tif", "damaged.tif")] == [True, False, False]
