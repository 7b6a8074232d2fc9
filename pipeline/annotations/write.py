"""A folder that an annotation tool takes: whole or not there, and replaced only where nobody has put anything into it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pipeline.annotations.coco import write_coco
from pipeline.annotations.cvat import write_cvat
from pipeline.annotations.label_studio import write_label_studio
from pipeline.annotations.labels import IGNORED, choose_labels
from pipeline.annotations.material import Material
from pipeline.datasets.folders.coco import BACKGROUND
from pipeline.files import atomic_path, digest
from pipeline.machine.progress import Progress
from pipeline.schema import Artifact

FORMATS = ("cvat", "label-studio", "coco")
IMAGES = "images"
ORIGIN = "origin.json"


class Origin(Artifact):
    """What the folder holds and what it is of; so it is told from any other."""

    described_as: ClassVar[str] = "the origin of an export"
    written_by: ClassVar[str] = "python -m stages.annotations export"

    format: str
    """One of `FORMATS`."""
    origin: str
    """What made the labels."""
    labels: tuple[str, ...]
    """Of the tool, without what nothing covers."""
    files: Mapping[str, str]
    """Path below the folder -> sha256."""


def check_place(out: Path) -> None:
    """Refuse a place that holds anything but what this module wrote there.

    Raises:
        ValueError: so it is; names what is there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    found = "a file" if out.is_file() else f"a folder without {ORIGIN}"
    if (out / ORIGIN).is_file():
        known = dict(Origin.read(out / ORIGIN).files)
        there = {file.relative_to(out).as_posix(): file for file in sorted(out.rglob("*")) if file.is_file()}
        others = [name for name, file in there.items() if name != ORIGIN and known.get(name) != digest(file)]
        if not others:
            return
        found = f"{others[0]}, which is none"
    raise ValueError(f"--out - expected a new folder, or one of an earlier export alone - found {found}, {out} - choose another")


def write_export(
    out: Path,
    material: Material,
    *,
    name: str,
    ignored: str | None,
    url_prefix: str,
    copy_images: bool,
    workers: int,
    progress: Progress,
) -> list[str]:
    """Write the folder.

    Args:
        out: see `check_place`.
        material: images and their label maps.
        name: one of `FORMATS`.
        ignored: see `choose_labels`.
        url_prefix: of Label Studio's images.
        copy_images: whether to copy the images beside, as they are called there.
        workers: threads.
        progress: shows the images.

    Returns:
        What a person should know.

    Raises:
        ValueError: see `check_place`, `choose_labels` and the writers.
    """
    check_place(out)
    labels = choose_labels(material.class_names, material.colors, ignored)
    with atomic_path(out) as partial:
        partial.mkdir()
        if name == "cvat":
            write_cvat(partial, material, labels, workers=workers, progress=progress)
        elif name == "coco":
            write_coco(partial, material, labels, workers=workers, progress=progress)
        else:
            write_label_studio(partial, material, labels, url_prefix=url_prefix, workers=workers, progress=progress)
        for work in material.works if copy_images else ():
            target = partial / IMAGES / work.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(work.image, target)
        files = sorted(file for file in partial.rglob("*") if file.is_file())
        sums = {file.relative_to(partial).as_posix(): digest(file) for file in files}
        Origin(format=name, origin=material.origin, labels=labels.names[1:], files=sums).write(partial / ORIGIN)
    own = f"have the label {IGNORED}" if IGNORED in labels.names[1:] and IGNORED not in material.class_names else "are left open"
    warning = "; what is open comes back as background" if labels.has_background and own == "are left open" else ""
    open_class = f"; {BACKGROUND} is what nothing covers" if labels.has_background else ""
    return [f"{len(material.works)} images, {material.origin}; ignored pixels {own}{open_class}{warning}"]
