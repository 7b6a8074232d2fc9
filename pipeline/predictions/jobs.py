"""Every image of a folder, and where what is predicted for it goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.datasets.raw_files import IMAGE_SUFFIXES, find_images
from pipeline.files import atomic_path
from pipeline.predictions.label_formats import FORMATS, Colors, Format
from pipeline.rasters.blocks import Canvas, Read
from pipeline.rasters.geotiff import can_read_windows, is_georeferenced, write_geotiff
from pipeline.rasters.png import write_png
from pipeline.rasters.source import Source, count_pixels
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.samples.images import palette

OVERLAY_WEIGHT = 0.6
"""Of the class color over the image."""


@dataclass(frozen=True)
class Job:
    """One image to predict, and the files to write; None for those that nobody asked for."""

    image: Path
    labels: Path
    format: Format
    overlay: Path | None = None
    confidence: Path | None = None
    georeferenced: bool = False
    """Whether the image says where on Earth it lies: its files then say so too, unless a benchmark's server reads them."""

    @property
    def files(self) -> list[Path]:
        """All that it writes."""
        return [path for path in (self.labels, self.overlay, self.confidence) if path is not None]

    def is_done(self) -> bool:
        """Return whether all of its files are there, each not older than the image."""
        return all(path.exists() and path.stat().st_mtime >= self.image.stat().st_mtime for path in self.files)

    def count_pixels(self) -> int:
        """Return the pixels of the image, 0 of a damaged one."""
        return count_pixels(self.image, georeferenced=self.georeferenced)

    def write(self, image: NDArray[np.uint8], labels: NDArray[np.uint8], confidence: NDArray[np.float32], colors: Colors) -> None:
        """Write the files of this image, each whole or not at all; what is there is replaced.

        Args:
            image: (H, W, 3) uint8, RGB.
            labels: (H, W) uint8 train ids in 0..C-1.
            confidence: (H, W) float32 in [0, 1], their probability; written in 255ths.
            colors: (C,) RGB triples, 0-255.
        """
        if self.overlay is not None:
            _write_png(self.overlay, paint(image, labels, colors))
        if self.confidence is not None:
            _write_png(self.confidence, in_255ths(confidence))
        with atomic_path(self.labels) as partial:
            self.format.write(partial, labels, colors)

    def write_parts(self, source: Source, labels: Canvas, confidence: Canvas | None, colors: Colors) -> None:
        """Do what `write` does, a part at a time; of an image with a georeference the files are GeoTIFF.

        Args:
            source: the image.
            labels: (H, W) train ids, `IGNORE_INDEX` where the image holds no data.
            confidence: (H, W) in 255ths, 0 where the image holds no data; None: not asked for.
            colors: (C,) RGB triples, 0-255.
        """

        def overlay(rows: slice, columns: slice) -> NDArray[np.uint8]:
            return paint(source.read(rows, columns), labels.read(rows, columns), colors)

        def values(rows: slice, columns: slice) -> NDArray[np.uint8]:
            ids = labels.read(rows, columns)
            return ids if self.format.values is None else np.array(self.format.values, np.uint8)[ids]

        shown = palette(tuple(self.format.colors or colors)) if self.format.values is None else None
        self._write_parts(self.overlay, source, overlay, channels=3)
        if confidence is not None:
            self._write_parts(self.confidence, source, confidence.read, nodata=0)
        self._write_parts(self.labels, source, values, shown=shown, nodata=IGNORE_INDEX)

    def _write_parts(
        self,
        path: Path | None,
        source: Source,
        read: Read,
        *,
        channels: int = 1,
        shown: bytes | None = None,
        nodata: int | None = None,
    ) -> None:
        if path is None:
            return
        with atomic_path(path) as partial:
            if self.georeferenced and (where := source.georeference):
                write_geotiff(partial, source.size, read, georeference=where, channels=channels, palette=shown, nodata=nodata)
            else:
                write_png(partial, source.size, read, channels=channels, palette=shown)


def paint(image: NDArray[np.uint8], labels: NDArray[np.uint8], colors: Colors) -> NDArray[np.uint8]:
    """Return the colors of the classes over an image, (H, W, 3) uint8; where there is no class, the image."""
    table = np.zeros((IGNORE_INDEX + 1, 3), np.float32)
    table[: len(colors)] = colors
    painted = np.rint(OVERLAY_WEIGHT * table[labels] + (1 - OVERLAY_WEIGHT) * image).astype(np.uint8)
    return np.where((labels == IGNORE_INDEX)[..., None], image, painted)


def in_255ths(confidence: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return confidences in [0, 1] as the numbers that files hold."""
    return np.rint(255 * np.clip(confidence, 0, 1)).astype(np.uint8)


def plan_jobs(
    images: Path, out: Path, *, name: str, class_names: Sequence[str], overlays: bool = False, confidences: bool = False
) -> list[Job]:
    """List the images below a folder and the files that each becomes.

    Args:
        images: searched with its subfolders, names with a leading dot left out; or one image.
        out: folder of the results.
        name: a key of `FORMATS`.
        class_names: what the network predicts, (C,).
        overlays: whether to paint the prediction over the image as well.
        confidences: whether to write the confidence of each pixel as well.

    Raises:
        ValueError: there is no image, two would give one file, a result would lie among the images, the network has other
            classes than the format, or an image has a georeference and rasterio is not installed.
    """
    form = FORMATS[name]
    if form.class_names is not None and tuple(class_names) != form.class_names:
        raise ValueError(
            f"--format {name} - expected a model of its {len(form.class_names)} classes - found {len(class_names)}:"
            f" {', '.join(class_names)} - choose a model trained on them, or another format"
        )
    folder, files = _find(images, out)
    sources: dict[Path, tuple[Path, str]] = {}
    for file in files:
        suffix = ".tif" if form.georeferenced and is_georeferenced(folder / file) else ".png"
        _expect_rasterio(folder / file, needed=suffix == ".tif")
        labels = (out / form.place(file)).with_suffix(suffix)
        if labels in sources:
            raise ValueError(
                f"{folder / file} - expected one image for {labels} - {folder / sources[labels][0]} is another - rename one"
            )
        sources[labels] = file, suffix
    jobs = [
        Job(
            folder / file,
            labels,
            form,
            overlay=out / "overlays" / file.with_suffix(suffix) if overlays else None,
            confidence=out / "confidence" / file.with_suffix(suffix) if confidences else None,
            georeferenced=suffix == ".tif",
        )
        for labels, (file, suffix) in sources.items()
    ]
    _check_outside(jobs, images, out)
    return jobs


def _find(images: Path, out: Path) -> tuple[Path, list[Path]]:
    """Return the folder of the images and their paths below it."""
    suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
    if images.is_file():
        if images.suffix.lower() not in IMAGE_SUFFIXES:
            raise ValueError(f"{images} - expected a folder of images, or one, {suffixes} - found another file - correct it")
        return images.parent, [Path(images.name)]
    if not images.is_dir():
        raise ValueError(f"{images} - expected a folder of images - found none - name the folder that holds them")
    if out.resolve().is_relative_to(images.resolve()):
        raise ValueError(f"{out} - expected a folder outside {images} - found one inside, to be read as images - choose another")
    files = [file.relative_to(images) for file in find_images(images)]
    if not files:
        raise ValueError(f"{images} - expected images, {suffixes} - found none - correct the folder")
    return images, files


def _expect_rasterio(image: Path, *, needed: bool) -> None:
    if needed and not can_read_windows():
        raise ValueError(
            f"{image} - expected the package rasterio, to keep the georeference of the image - found none"
            " - run `pip install --requirement requirements.txt`, or install the extra `geo` of pyproject.toml"
        )


def _check_outside(jobs: Sequence[Job], images: Path, out: Path) -> None:
    """Refuse results among the images: OUT may hold their folder under a name of ours, and images would be replaced."""
    root = images.resolve()
    for job in jobs:
        for result in job.files:
            # Below one image there is nothing, so this tells whether it would be replaced.
            if result.parent.resolve().is_relative_to(root) or result.resolve() == root:
                raise ValueError(
                    f"{out} - expected results outside {images} - found {result} among the images - choose another folder"
                )


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    with atomic_path(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG")
