"""PNG files that are written by bands are read by Pillow as what they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.rasters import png
from pipeline.rasters.png import write_png
from pipeline.samples.images import palette, read_image, write_label_png


@pytest.mark.parametrize("band", [1, 1000, 2**24])
def test_bands_of_any_height_give_the_picture(band: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_BAND_BYTES", band)
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (31, 43, 3)).astype(np.uint8)
    write_png(tmp_path / "a.png", (31, 43), lambda rows, columns: colors[rows, columns], channels=3)
    assert np.array_equal(read_image(tmp_path / "a.png"), colors)
    write_png(tmp_path / "gray.png", (31, 43), lambda rows, columns: colors[rows, columns, 0])
    with Image.open(tmp_path / "gray.png") as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), colors[..., 0])


def test_a_label_map_has_the_palette_and_the_pixels_that_a_small_one_has(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (31, 43)).astype(np.uint8)
    colors = ((1, 2, 3), (200, 100, 0), (0, 0, 255))
    write_png(tmp_path / "a.png", (31, 43), lambda rows, columns: labels[rows, columns], palette=palette(colors))
    write_label_png(tmp_path / "small.png", labels, colors)
    with Image.open(tmp_path / "a.png") as ours, Image.open(tmp_path / "small.png") as small:
        assert ours.mode == small.mode == "P"
        assert ours.getpalette() == small.getpalette()
        assert np.array_equal(np.asarray(ours), np.asarray(small))
