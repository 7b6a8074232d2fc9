import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from pipeline.files import digest
from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.images import (
    image_of,
    is_turned,
    labels_of,
    read_image,
    read_label_png,
    read_labels,
    size_of,
    write_label_png,
)
from pipeline.samples.sample_lists import Sample

COLORS = ((10, 20, 30), (200, 100, 0), (0, 0, 255))
CATALOG = Catalog(name="toy", class_names=("a", "b", "c"), colors=COLORS, train_ids={7: 0, 8: 1, 33: 2, 0: IGNORE_INDEX})


def test_values_become_train_ids(tmp_path: Path) -> None:
    Image.fromarray(np.array([[7, 8], [33, 0]], np.uint8)).save(tmp_path / "labels.png")
    assert read_labels(tmp_path / "labels.png", CATALOG, size=(2, 2)).tolist() == [[0, 1], [2, 255]]


def test_sixteen_bit_labels_are_read_whole(tmp_path: Path) -> None:
    catalog = Catalog(name="deep", class_names=("a",), colors=((0, 0, 0),), train_ids={1000: 0, 65535: IGNORE_INDEX})
    Image.fromarray(np.array([[1000, 65535]], np.uint16)).save(tmp_path / "labels.png")
    assert read_labels(tmp_path / "labels.png", catalog, size=(1, 2)).tolist() == [[0, 255]]


@pytest.mark.parametrize("value", [9, 255])
def test_a_value_outside_the_classes_is_named(tmp_path: Path, value: int) -> None:
    Image.fromarray(np.array([[7, value]], np.uint8)).save(tmp_path / "labels.png")
    with pytest.raises(ValueError, match=f"found {value}"):
        read_labels(tmp_path / "labels.png", CATALOG, size=(1, 2))


def test_labels_of_another_size_than_the_image_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 3), 7, np.uint8)).save(tmp_path / "labels.png")
    with pytest.raises(ValueError, match=r"size \(3, 2\) - found \(2, 3\)"):
        read_labels(tmp_path / "labels.png", CATALOG, size=(3, 2))


def test_a_color_image_is_no_label_file(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "labels.png")
    with pytest.raises(ValueError, match="one integer per pixel"):
        read_labels(tmp_path / "labels.png", CATALOG, size=(2, 2))


def test_a_truncated_image_is_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(whole)
    content = whole.read_bytes()
    for length in (0, 5, 40, len(content) // 2, len(content) - 100):
        damaged = tmp_path / f"{length}.png"
        damaged.write_bytes(content[:length])
        with pytest.raises(ValueError, match="replace the damaged file") as caught:
            read_image(damaged)
        assert "\n" not in str(caught.value)
        assert str(damaged) in str(caught.value)


def test_a_missing_image_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found none"):
        read_image(tmp_path / "no.png")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_every_image_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (3, 2), (255, 255, 255)).convert(mode).save(tmp_path / "image.png")
    image = read_image(tmp_path / "image.png")
    assert image.shape == (2, 3, 3)
    assert (image == 255).all()


def test_a_label_png_reads_back_exactly_and_shows_its_colors(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [255, 2, 1]], np.uint8)
    write_label_png(tmp_path / "labels.png", labels, COLORS)
    assert (read_label_png(tmp_path / "labels.png", num_classes=3, size=(2, 3)) == labels).all()
    with Image.open(tmp_path / "labels.png") as picture:
        assert picture.mode == "P"
        assert picture.convert("RGB").getpixel((1, 0)) == COLORS[1]


def test_a_label_png_is_a_function_of_its_labels(tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 3, (50, 60)).astype(np.uint8)
    for name in ("a", "b"):
        write_label_png(tmp_path / name, labels, COLORS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_label_png_with_a_foreign_class_is_refused(tmp_path: Path) -> None:
    write_label_png(tmp_path / "labels.png", np.array([[0, 3]], np.uint8), COLORS)
    with pytest.raises(ValueError, match="found 3"):
        read_label_png(tmp_path / "labels.png", num_classes=3, size=(1, 2))


def test_a_catalog_reads_back_exactly(tmp_path: Path) -> None:
    CATALOG.write(tmp_path / "catalog.json")
    assert Catalog.read(tmp_path / "catalog.json") == CATALOG


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": "x", "class_names": ["a"], "colors": [[1, 2]], "train_ids": {}}'])
def test_a_damaged_catalog_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "catalog.json").write_text(text)
    with pytest.raises(ValueError, match=r"catalog\.json") as caught:
        Catalog.read(tmp_path / "catalog.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"class_names": (), "colors": ()},
        {"class_names": tuple(map(str, range(256))), "colors": ((0, 0, 0),) * 256},
        {"class_names": ("a", "a", "c")},
        {"colors": COLORS[:2]},
        {"train_ids": {0: 3}},
        {"train_ids": {0: -1}},
    ],
)
def test_a_wrong_catalog_is_refused_where_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected .* - found"):
        Catalog.model_validate({**CATALOG.model_dump(), **wrong})


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_an_image_of_more_than_sixteen_bits_is_refused_and_not_cut(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(np.arange(6, dtype=dtype).reshape(2, 3)).save(tmp_path / "image.tiff")
    with pytest.raises(ValueError, match="8 bits per channel"):
        read_image(tmp_path / "image.tiff")


def png_of_16_bits(pixels: np.ndarray) -> bytes:
    """Return a PNG of (H, W, channels) uint16, written here: Pillow writes none but gray ones."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("channels", "suffix"), [(1, "png"), (2, "png"), (3, "png"), (4, "png"), (1, "tiff")])
def test_of_sixteen_bits_the_upper_eight_are_taken_of_gray_as_of_color(channels: int, suffix: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 2**16, (4, 6, channels), dtype=np.uint16)
    path = tmp_path / f"image.{suffix}"
    if suffix == "png":
        path.write_bytes(png_of_16_bits(pixels))
    else:
        Image.fromarray(pixels[..., 0]).save(path)
    expected = pixels[..., :3] if channels > 2 else pixels[..., :1].repeat(3, axis=2)
    assert np.array_equal(read_image(path), expected >> 8)


def test_a_picture_of_sixteen_bits_is_turned_as_others(tmp_path: Path) -> None:
    upright = np.random.default_rng(0).integers(0, 2**16, (4, 6), dtype=np.uint16)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(upright))).save(tmp_path / "image.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "image.png")[..., 0], upright >> 8)


def test_a_cmyk_picture_is_read_in_its_colors(tmp_path: Path) -> None:
    for suffix in ("jpg", "tiff"):
        Image.new("RGB", (16, 16), (250, 10, 20)).convert("CMYK").save(tmp_path / f"image.{suffix}")
        assert np.abs(read_image(tmp_path / f"image.{suffix}")[8, 8].astype(int) - (250, 10, 20)).max() <= 4


def test_transparency_beside_the_number_of_a_class_does_not_count(tmp_path: Path) -> None:
    numbers = np.array([[7, 8], [33, 0]], np.uint8)
    Image.fromarray(np.dstack([numbers, np.array([[0, 255], [9, 255]], np.uint8)])).save(tmp_path / "labels.png")
    assert read_labels(tmp_path / "labels.png", CATALOG, size=(2, 2)).tolist() == [[0, 1], [2, 255]]


def test_labels_of_another_resolution_are_resampled_where_the_catalog_allows_it(tmp_path: Path) -> None:
    small = np.random.default_rng(0).integers(0, 3, (48, 64)).astype(np.uint8)
    Image.fromarray(small).save(tmp_path / "labels.png")
    catalog = Catalog(
        name="toy", class_names=("a", "b", "c"), colors=((0, 0, 0),) * 3, train_ids={0: 0, 1: 1, 2: 2}, any_size=True
    )
    for size in ((97, 130), (24, 32), (48, 64), (96, 128)):
        labels = read_labels(tmp_path / "labels.png", catalog, size=size)
        rows, columns = (
            [int((place + 0.5) * old / new) for place in range(new)] for old, new in zip((48, 64), size, strict=True)
        )
        assert labels.tolist() == [[int(small[row, column]) for column in columns] for row in rows]
    with pytest.raises(ValueError, match=r"expected labels of the image's size \(64, 48\) - found \(48, 64\)"):
        read_labels(tmp_path / "labels.png", catalog, size=(64, 48))


TURNS = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
"""How a picture lies in its file, by EXIF orientation."""


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_an_image_is_read_as_viewers_show_it(orientation: int, suffix: str, tmp_path: Path) -> None:
    upright = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(np.ascontiguousarray(TURNS[orientation](upright))).save(path, exif=exif, lossless=True)
    assert np.array_equal(read_image(path), upright)
    assert size_of(path) == (4, 6)
    assert is_turned(path)


def test_labels_that_lie_as_the_image_is_stored_are_told_why(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 3), 7, np.uint8)).save(tmp_path / "labels.png")
    with pytest.raises(ValueError, match=r"found \(2, 3\) - turn them as viewers show the image: its EXIF orientation counts"):
        read_labels(tmp_path / "labels.png", CATALOG, size=(3, 2))


def test_a_file_of_one_bit_is_a_mask_of_0_and_1(tmp_path: Path) -> None:
    catalog = Catalog(name="mask", class_names=("a", "b"), colors=((0, 0, 0), (9, 9, 9)), train_ids={0: 0, 1: 1})
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "labels.png")
    assert read_labels(tmp_path / "labels.png", catalog, size=(1, 2)).tolist() == [[0, 1]]


def test_postscript_under_the_name_of_an_image_is_refused_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", start)
    (tmp_path / "image.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(ValueError, match="found none of PNG, JPEG"):
        read_image(tmp_path / "image.png")


@contextmanager
def suppress_line(path: Path) -> Iterator[None]:
    """Pass an error that names the file in one line, and nothing else."""
    error = ""
    try:
        yield
    except ValueError as caught:
        error = str(caught)
    assert not error or str(path) in error
    assert "\n" not in error


@pytest.mark.parametrize("suffix", ["png", "jpeg", "tiff", "bmp", "webp", "ppm"])
def test_a_damaged_file_is_named_or_read(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about what is damaged
        for _ in range(120):
            damaged = bytearray(content)
            for place in rng.integers(0, min(len(content), 400), int(rng.integers(1, 6))):
                damaged[place] = int(rng.integers(0, 256))
            path.write_bytes(bytes(damaged[: int(rng.integers(1, len(content) + 1))]) if rng.random() < 0.3 else bytes(damaged))
            with suppress_line(path):
                assert read_image(path).ndim == 3


def test_every_flipped_byte_of_a_png_s_pixels_is_named(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(6, 10)).save(path)
    content = path.read_bytes()
    for place in range(content.index(b"IDAT"), content.index(b"IEND") - 4):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError, match=r"image.png - expected an image file"):
            read_image(path)


def test_a_file_that_has_changed_since_it_was_listed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(path)
    sample = Sample("image", 2, 3, path, digest(path), path, digest(path))
    assert image_of(sample).shape == (2, 3, 3)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"image.png - expected the file that the stage `prepare` has seen"):
        image_of(sample)
    with pytest.raises(ValueError, match="expected the file that the stage `prepare` has seen"):
        labels_of(sample, CATALOG)
