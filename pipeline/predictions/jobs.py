"""Every image of a folder, and where what is predicted for it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.datasets.raw_files import IMAGE_SUFFIXES, find_images
from pipeline.files import atomic_path
from pipeline.machine.progress import Progress
from pipeline.predictions.label_formats import FORMATS, Colors, Format
from pipeline.samples.images import read_image

OVERLAY_WEIGHT = 0.6
"""Of the class color over the image."""
_MOST_ERRORS = 10
"""Damaged images that are named; of more, their number is said."""


Predict = Callable[[NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.float32]]]
"""From (H, W, 3) uint8 RGB to train ids, (H, W) uint8 in 0..C-1, and their probability, (H, W) float32."""


@dataclass(frozen=True)
class Job:
    """One image to predict, and the files to write; None for those that nobody asked for."""

    image: Path
    labels: Path
    format: Format
    overlay: Path | None = None
    confidence: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All that it writes."""
        return [path for path in (self.labels, self.overlay, self.confidence) if path is not None]

    def is_done(self) -> bool:
        """Return whether all of its files are there, each not older than the image."""
        return all(path.exists() and path.stat().st_mtime >= self.image.stat().st_mtime for path in self.files)

    def write(self, image: NDArray[np.uint8], labels: NDArray[np.uint8], confidence: NDArray[np.float32], colors: Colors) -> None:
        """Write the files of this image, each whole or not at all; what is there is replaced.

        Args:
            image: (H, W, 3) uint8, RGB.
            labels: (H, W) uint8 train ids in 0..C-1.
            confidence: (H, W) float32 in [0, 1], their probability; written in 255ths.
            colors: (C,) RGB triples, 0-255.
        """
        if self.overlay is not None:
            painted = np.array(colors, np.float32)[labels]
            _write_png(self.overlay, np.rint(OVERLAY_WEIGHT * painted + (1 - OVERLAY_WEIGHT) * image).astype(np.uint8))
        if self.confidence is not None:
            _write_png(self.confidence, np.rint(255 * np.clip(confidence, 0, 1)).astype(np.uint8))
        with atomic_path(self.labels) as partial:
            self.format.write(partial, labels, colors)


def run_jobs(jobs: Sequence[Job], predict: Predict, colors: Colors, *, progress: Progress) -> None:
    """Read every image, `predict` it and write its files; `progress` shows the images.

    Raises:
        ValueError: images are damaged; those of all others are written.
    """
    damaged: list[ValueError] = []
    for job in progress(jobs, total=len(jobs), unit="image"):
        try:
            image = read_image(job.image)
        except ValueError as error:
            damaged.append(error)
        else:
            job.write(image, *predict(image), colors)
    if damaged:
        others = [str(error).partition(" - ")[0] for error in damaged[1:_MOST_ERRORS]]
        others += [f"{len(damaged) - _MOST_ERRORS} more"] if len(damaged) > _MOST_ERRORS else []
        also = f" (likewise {', '.join(others)})" if others else ""
        raise ValueError(f"{damaged[0]}{also}; {len(jobs) - len(damaged)} of {len(jobs)} images were predicted")


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
        ValueError: there is no image, two would give one file, a result would lie among the images, or the network has
            other classes than the format.
    """
    form = FORMATS[name]
    if form.class_names is not None and tuple(class_names) != form.class_names:
        raise ValueError(
            f"--format {name} - expected a model of its {len(form.class_names)} classes - found {len(class_names)}:"
            f" {', '.join(class_names)} - choose a model trained on them, or another format"
        )
    folder, files = _find(images, out)
    sources: dict[Path, Path] = {}
    for file in files:
        labels = out / form.place(file)
        if labels in sources:
            raise ValueError(
                f"{folder / file} - expected one image for {labels} - {folder / sources[labels]} is another - rename one"
            )
        sources[labels] = file
    jobs = [
        Job(
            folder / file,
            labels,
            form,
            overlay=out / "overlays" / file.with_suffix(".png") if overlays else None,
            confidence=out / "confidence" / file.with_suffix(".png") if confidences else None,
        )
        for labels, file in sources.items()
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
