"""`predict` on images that go by windows: the same files as in memory, GeoTIFF with its georeference, resume, one-line errors."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from pipeline.predictions import run
from pipeline.rasters import banded, geotiff
from stages.predict import main
from tests.models.sections import COLORS, PROTOCOL, write_small_model
from tests.rasters.scans import needs_rasterio, pixels, write_scan
from tests.workspace import ROOT, change_params

KINDS = ("labels", "overlays", "confidence")
WINDOWS = PROTOCOL.model_copy(update={"sliding_window": True, "window_height": 24, "window_width": 32})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Parameters, a model with windows of 24x32 as its protocol, and an image of several windows as PNG."""
    write_small_model(tmp_path / "model.safetensors", protocol=WINDOWS)
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels(61, 157)).save(tmp_path / "images/a.png")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    change_params(tmp_path, {"inference.flip": True, "inference.batch_size": 5})
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(banded, "BAND_BYTES", 32 * 24 * 60)
        yield tmp_path


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every image large."""
    monkeypatch.setattr(run, "LARGE", 0)


def predict(*options: str) -> Result:
    return CliRunner().invoke(main, ["--model", "model.safetensors", "--images", "images", "--out", "out", *options])


def shown(path: Path) -> np.ndarray:
    """Return the pixels of a file, by Pillow or, of a TIFF, by rasterio."""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return np.asarray(picture)
    import rasterio

    with rasterio.open(path) as file:
        values: np.ndarray = np.moveaxis(file.read(), 0, -1)
        return values.squeeze()


def test_files_are_the_same_pixel_by_pixel_in_memory_and_by_windows(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert predict("--overlays", "--confidence").exit_code == 0
    monkeypatch.setattr(run, "LARGE", 0)
    done = predict("--overlays", "--confidence", "--out", "large")
    assert done.exit_code == 0
    assert re.search(r"\d+ of (\d+) windows", done.stderr)
    for kind in KINDS:
        assert np.array_equal(shown(workspace / f"out/{kind}/a.png"), shown(workspace / f"large/{kind}/a.png")), kind
    with Image.open("out/labels/a.png") as small, Image.open("large/labels/a.png") as by_windows:
        assert small.mode == by_windows.mode == "P"
        assert small.getpalette() == by_windows.getpalette()
    assert not [path for path in (workspace / "large").rglob("*") if path.name.startswith(".")]


@needs_rasterio
def test_geotiff_gives_geotiff_that_lies_where_the_image_lies(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import rasterio

    write_scan(workspace / "images/north/b.TIF", pixels(61, 157), tiled=True, blockxsize=16, blockysize=16)
    for limit, out in ((0, "large"), (2**22, "out")):
        monkeypatch.setattr(run, "LARGE", limit)
        assert predict("--overlays", "--confidence", "--out", out).exit_code == 0
        for kind in KINDS:
            # The same pixels as of the PNG, which is the same image.
            assert np.array_equal(shown(workspace / out / kind / "north/b.tif"), shown(workspace / out / kind / "a.png")), kind
            with rasterio.open(f"{out}/{kind}/north/b.tif") as ours, rasterio.open("images/north/b.TIF") as image:
                assert (ours.crs, ours.transform, ours.shape) == (image.crs, image.transform, image.shape)
                assert ours.crs
                assert ours.nodata == {"labels": 255, "confidence": 0, "overlays": None}[kind]
    with rasterio.open("large/labels/north/b.tif") as labels:
        assert [labels.colormap(1)[value][:3] for value in range(3)] == list(COLORS)


@needs_rasterio
@pytest.mark.parametrize("limit", [0, 2**22])
def test_pixels_without_data_are_declared_as_such(workspace: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LARGE", limit)
    bands = pixels(61, 157)
    bands[10:30, 100:] = 0
    write_scan(workspace / "images/b.tif", bands, nodata=0)
    assert predict("--images", "images/b.tif", "--overlays", "--confidence").exit_code == 0
    hole = (bands == 0).all(axis=2)
    assert np.array_equal(shown(Path("out/labels/b.tif")) == 255, hole)
    assert np.array_equal(shown(Path("out/confidence/b.tif")) == 0, hole)
    assert (shown(Path("out/overlays/b.tif"))[hole] == 0).all()


@needs_rasterio
def test_servers_of_benchmarks_get_png_of_geotiff_too(workspace: Path) -> None:
    from pipeline.datasets import cityscapes
    from pipeline.predictions.jobs import plan_jobs

    write_scan(workspace / "images/b.tif", pixels(61, 157))
    jobs = plan_jobs(workspace / "images", workspace / "out", name="cityscapes", class_names=cityscapes.CLASS_NAMES)
    assert [(job.labels.suffix, job.georeferenced) for job in jobs] == [(".png", False)] * 2


@needs_rasterio
@pytest.mark.usefixtures("large")
def test_a_damaged_tile_is_named_and_all_others_are_predicted(workspace: Path) -> None:
    write_scan(workspace / "images/b.tif", pixels(61, 157), tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    content = bytearray((workspace / "images/b.tif").read_bytes())
    content[-9000:-8000] = bytes(1000)
    (workspace / "images/b.tif").write_bytes(content)
    write_scan(workspace / "images/c.tif", pixels(61, 157).astype(np.float32))
    done = predict()
    assert done.exit_code == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: images/c.tif - expected gray, color indices or RGB of 8 or 16 bits")
    assert last.endswith(" (likewise images/b.tif); 1 of 3 images were predicted")
    assert [path.name for path in (workspace / "out/labels").iterdir()] == ["a.png"]


@pytest.mark.usefixtures("large")
def test_a_killed_run_goes_on_at_the_first_image_that_is_not_done(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(pixels(61, 157)).save(workspace / "images/b.png")
    blocks, seen = banded.BandedPredictor.blocks, []

    def die_in_the_second(*arguments: Any) -> Any:
        seen.append(arguments)
        for number, finished in enumerate(blocks(*arguments)):
            if len(seen) == 2 and number == 30:
                raise KeyboardInterrupt
            yield finished

    with monkeypatch.context() as patch:
        patch.setattr(banded.BandedPredictor, "blocks", die_in_the_second)
        assert predict().exit_code == 130
    before = (workspace / "out/labels/a.png").stat().st_mtime_ns
    assert [path.name for path in (workspace / "out/labels").iterdir()] == ["a.png"]
    done = predict()
    assert "2 predictions in out, 1 of them from a run that did not end" in done.stderr
    assert (workspace / "out/labels/a.png").stat().st_mtime_ns == before
    assert np.array_equal(shown(workspace / "out/labels/a.png"), shown(workspace / "out/labels/b.png"))


def test_window_predicts_what_the_protocol_would_predict_whole(workspace: Path) -> None:
    change_params(workspace, {"inference.sliding_window": False, "inference.long_side": 40})
    assert predict("--protocol", "params", "--window", "32", "--out", "wide").exit_code == 0
    done = predict("--window", "32")
    assert "by --window: own size, windows 32x32 at stride 0.5, scale 1, with flip" in done.stderr
    assert not np.array_equal(shown(workspace / "out/labels/a.png"), shown(workspace / "wide/labels/a.png")), "another stride"


@needs_rasterio
def test_an_image_that_no_memory_holds_is_told_to_go_by_windows(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scan(workspace / "images/b.tif", pixels(61, 157))
    change_params(workspace, {"inference.sliding_window": False})
    monkeypatch.setattr(banded.BandedPredictor, "bytes_per_pixel", 2**50)
    done = predict("--protocol", "params")
    assert done.exit_code == 1
    says = "Error: images/a.png - expected 9577.0 PiB".partition(" 9577")[0]
    assert says in done.stderr
    assert "GiB free - predict it in windows, by --window 512 for instance (likewise images/b.tif); 0 of 2" in done.stderr


@pytest.mark.usefixtures("large")
def test_too_many_windows_are_the_fault_of_one_image(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(pixels(24, 32)).save(workspace / "images/b.png")
    monkeypatch.setattr(banded, "MOST_WINDOWS", 40)
    done = predict()
    assert "Error: images/a.png of 61x157 pixels - expected at most 40 windows - found 45 of 24x32 - give larger" in done.stderr
    assert done.stderr.endswith("; 1 of 2 images were predicted\n")


@needs_rasterio
def test_without_rasterio_a_georeference_is_not_lost_in_silence(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scan(workspace / "images/b.tif", pixels(61, 157))
    monkeypatch.setattr(geotiff, "find_spec", lambda _: None)
    done = predict()
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert (
        "Error: images/b.tif - expected the package rasterio, to keep the georeference of the image - found none" in done.stderr
    )
    assert "extra `geo`" in done.stderr
    assert not (workspace / "out").exists()


def test_a_side_of_no_window_is_one_line(workspace: Path) -> None:
    done = predict("--window", "7")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: --window - expected 16 to 8192 pixels - found 7 - give the side of the crops of the training"
    )
    assert not (workspace / "out").exists()


def test_rasterio_is_not_imported_where_no_image_needs_it(workspace: Path) -> None:
    before = "rasterio" in sys.modules
    assert predict().exit_code == 0
    assert ("rasterio" in sys.modules) == before
