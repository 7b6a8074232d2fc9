"""Label maps of images of any size by windows: memory should not grow with the image. Without rasterio, nothing is measured."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.models.build import build_network
from pipeline.models.network import SegmentationOutput
from pipeline.models.normalization import IMAGENET
from pipeline.predictions.jobs import plan_jobs
from pipeline.predictions.run import run_jobs
from pipeline.rasters.banded import BandedPredictor, in_windows
from pipeline.rasters.geotiff import TILE, Georeference, can_read_windows, write_geotiff
from pipeline.runtime import prepare_device
from tests.benchmarks.inference import settings
from tests.benchmarks.maps import NAMES
from tests.benchmarks.measure import measure
from tests.benchmarks.table import Row

LARGE_SIZES = ((1000, 1000), (5000, 5000), (12_000, 9000), (20_000, 20_000), (30_000, 30_000))
WINDOW = 512


def large(folder: Path, sizes: Iterable[tuple[int, int]] = LARGE_SIZES) -> Iterator[Row]:
    """Predict tiled GeoTIFF files of `sizes` in windows side by side, by no network and by the tiny one."""
    for height, width in sizes if can_read_windows() else ():
        scan = folder / "images" / "scan.tif"
        draw_scan(scan, (height, width))
        for name, classes in (("no network", 3), ("PSPNet on tiny", len(NAMES))):
            what = f"predict a GeoTIFF, {name}, {WINDOW}x{WINDOW} at a time"
            yield Row(what, f"{height}x{width}x{classes}", measure(predict_scan, folder, classes))
        scan.unlink()


def draw_scan(path: Path, size: tuple[int, int]) -> None:
    """Write a tiled TIFF with a georeference, of one tile over and over."""
    from rasterio import Affine
    from rasterio.crs import CRS

    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    tile = np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((TILE // 8, TILE // 8, 1))).astype(np.uint8)
    where = Georeference(CRS.from_epsg(32633), Affine(0.25, 0, 500_000, 0, -0.25, 5_000_000), ([], None), None)
    write_geotiff(
        path,
        size,
        lambda rows, columns: tile[: rows.stop - rows.start, : columns.stop - columns.start],
        georeference=where,
        channels=3,
    )


class NoNetwork(nn.Module):
    """Gives its input back as logits of three classes: what is left is the cost of everything else."""

    num_classes = 3
    backbone = SimpleNamespace(normalization=IMAGENET)

    def forward(self, images: Tensor) -> SegmentationOutput:
        return SegmentationOutput(images, None)


def predict_scan(folder: Path, classes: int) -> Callable[[], None]:
    """Predict what lies below `images`, with confidences."""
    params = settings("small")
    torch.manual_seed(0)
    network: Any = NoNetwork() if classes == 3 else build_network(params.model, classes)
    protocol = in_windows(params.inference.model_copy(update={"batch_size": 2, "stride_ratio": 1.0}), WINDOW, say=lambda _: None)
    predictor = BandedPredictor(network, protocol, prepare_device(params.runtime))
    colors = ((0, 0, 0),) * classes
    jobs = plan_jobs(folder / "images", folder / "out", name="labels", class_names=NAMES[:classes], confidences=True)

    def work() -> None:
        run_jobs(jobs, predictor, colors, progress=lambda items, **_: items)

    return work
