"""GeoTIFF files for tests."""

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

needs_rasterio = pytest.mark.skipif(
    importlib.util.find_spec("rasterio") is None, reason="rasterio is not installed: it is the extra `geo` of pyproject.toml"
)


def pixels(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3)).astype(np.uint8)


def write_scan(path: Path, bands: NDArray[Any], *, georeferenced: bool = True, **layout: Any) -> None:
    """Write (H, W, B) or (H, W) as the bands of a TIFF, by rasterio and not by ours."""
    import rasterio

    path.parent.mkdir(parents=True, exist_ok=True)
    stacked = bands[None] if bands.ndim == 2 else np.moveaxis(bands, -1, 0)
    if georeferenced:
        layout = {"crs": "EPSG:32633", "transform": rasterio.Affine(0.25, 0, 500_000, 0, -0.5, 5_000_000), **layout}
    count, height, width = stacked.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", height=height, width=width, count=count, dtype=stacked.dtype, **layout
        ) as file:
            file.write(stacked)
