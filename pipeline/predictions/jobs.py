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


@dataclass(frozen=True)
class Job:
    """One image to predict, and the files to write."""

    image: Path
    labels: Path
    overlay: Path | None
    format: Format

    def write(self, image: NDArray[np.uint8], prediction: NDArray[np.uint8], colors: Colors) -> None:
        """Write the files of this image, each whole or not at all; what is there is replaced.

        Args:
            image: (H, W, 3) uint8, RGB.
            prediction: (H, W) uint8 train ids in 0..C-1.
            colors: (C,) RGB triples, 0-255.
        """
        with atomic_path(self.labels) as partial:
            self.format.write(partial, prediction, colors)
        if self.overlay is not None:
            painted = np.array(colors, np.float32)[prediction]
            blend = np.rint(OVERLAY_WEIGHT * painted + (1 - OVERLAY_WEIGHT) * image).astype(np.uint8)
            with atomic_path(self.overlay) as partial:
                Image.fromarray(blend).save(partial, format="PNG")


def run_jobs(
    jobs: Sequence[Job], predict: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], colors: Colors, *, progress: Progress
) -> None:
    """Read every image, `predict` its (H, W) uint8 train ids and write its files; `progress` shows the images.

    Raises:
        ValueError: an image is damaged; the files of those before it are whole.
    """
    for job in progress(jobs, total=len(jobs), unit="image"):
        image = read_image(job.image)
        job.write(image, predict(image), colors)


def plan_jobs(images: Path, out: Path, *, name: str, class_names: Sequence[str], overlays: bool) -> list[Job]:
    """List the images below a folder and the files that each becomes.

    Args:
        images: searched with its subfolders; names with a leading dot are left out.
        out: folder of the results.
        name: a key of `FORMATS`.
        class_names: what the network predicts, (C,).
        overlays: whether to paint the prediction over the image as well.

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
    if not images.is_dir():
        found = "a file" if images.exists() else "none"
        raise ValueError(f"{images} - expected a folder of images - found {found} - name the folder that holds them")
    if out.resolve().is_relative_to(images.resolve()):
        raise ValueError(f"{out} - expected a folder outside {images} - found one inside, to be read as images - choose another")
    files = [file.relative_to(images) for file in find_images(images)]
    if not files:
        raise ValueError(f"{images} - expected images, {', '.join(sorted(IMAGE_SUFFIXES))} - found none - correct the folder")
    sources: dict[Path, Path] = {}
    for file in files:
        labels = out / form.place(file)
        if labels in sources:
            raise ValueError(
                f"{images / file} - expected one image for {labels} - {images / sources[labels]} is another - rename one"
            )
        sources[labels] = file
    jobs = [
        Job(images / file, labels, out / "overlays" / file.with_suffix(".png") if overlays else None, form)
        for labels, file in sources.items()
    ]
    _check_outside(jobs, images, out)
    return jobs


def _check_outside(jobs: Sequence[Job], images: Path, out: Path) -> None:
    """Refuse results among the images: OUT may hold their folder under a name of ours, and images would be replaced."""
    root = images.resolve()
    for job in jobs:
        for result in filter(None, (job.labels, job.overlay)):
            if result.parent.resolve().is_relative_to(root):
                raise ValueError(
                    f"{out} - expected results outside {images} - found {result} among the images - choose another folder"
                )
