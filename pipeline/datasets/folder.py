"""A data set of one's own: a folder or an archive, in whichever of the layouts in `folders` it lies there."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.datasets.data_set import DataSet
from pipeline.datasets.folders.archive import UNPACKED, is_archive, list_archive, unpack
from pipeline.datasets.folders.classes import CLASSES_FILE, DeclaredClasses
from pipeline.datasets.folders.coco import look_at_coco
from pipeline.datasets.folders.coco_files import find_annotation_files
from pipeline.datasets.folders.cvat import MASKS, find_exports, look_at_cvat
from pipeline.datasets.folders.found import Found
from pipeline.datasets.folders.own import LABEL_FOLDERS, look_at_own


def find_folder(root: Path, *, drawn: Path, workers: int) -> DataSet:
    """Find the images of a folder; those without labels are unlabeled.

    Args:
        root: a folder in one of the layouts of `folders`, or a zip with one; it is only read.
        drawn: what is unpacked or drawn is written below it.
        workers: threads that read and draw.

    Raises:
        ValueError: something is missing or wrong; names the file, and the key of `classes.yaml`.
    """
    return look_into(root, drawn=drawn, workers=workers).whole()


def look_into(root: Path, *, drawn: Path, workers: int, classes: DeclaredClasses | None = None) -> Found:
    """Find the images of a folder likewise, and what is wrong with it.

    Args:
        root: as for `find_folder`.
        drawn: likewise.
        workers: likewise.
        classes: of label files made by hand, instead of a `classes.yaml`.

    Raises:
        ValueError: nothing can be said of the folder before that is mended.
    """
    root = open_root(root, drawn)
    by_hand = any((root / name).is_dir() for name in LABEL_FOLDERS)
    if by_hand and (root / CLASSES_FILE).is_file():
        return look_at_own(root, workers=workers)
    folders = [root, *(unpack(archive, drawn / UNPACKED) for archive in _exports_in(root))] if root.is_dir() else []
    cvat = [export for folder in folders for export in find_exports(folder)]
    coco = [file for folder in folders for file in find_annotation_files(folder)]
    if bool(cvat) + bool(coco) + by_hand > 1:
        there = {
            f"masks of CVAT in {cvat[0].name}" if cvat else "",
            f"{coco[0].name} of COCO" if coco else "",
            "label files" * by_hand,
        }
        raise ValueError(
            f"{root} - expected the annotations of one tool - found {' and '.join(sorted(there - {''}))} - keep one, or add a"
            f" {CLASSES_FILE} for the label files"
        )
    if cvat:
        return look_at_cvat(root, cvat)
    if coco:
        return look_at_coco(root, folders, drawn, workers=workers)
    return look_at_own(root, workers=workers, classes=classes)


def open_root(root: Path, drawn: Path) -> Path:
    """Return `root`, unpacked below `drawn` where it is an archive.

    Raises:
        ValueError: it is a file of another kind, or see `unpack`.
    """
    if is_archive(root):
        return unpack(root, drawn / UNPACKED)
    if root.is_file():
        raise ValueError(f"{root} - expected a folder or a zip archive - found another file - name what holds your images")
    return root


def _exports_in(root: Path) -> Sequence[Path]:
    """Return the archives in a folder that hold annotations: what is exported without its images lies beside them."""
    archives = sorted(path for path in root.iterdir() if is_archive(path) and not path.name.startswith("."))
    return [
        archive
        for archive in archives
        if any(MASKS in name.parts or (name.suffix.lower() == ".json" and len(name.parts) <= 3) for name in list_archive(archive))
    ]
