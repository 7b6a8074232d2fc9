"""A folder of one's own, looked at as a whole: what is in it, what would come of it, and all that is wrong."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.check import check_pair
from pipeline.datasets.data_set import DataSet
from pipeline.datasets.folder import look_into, open_root
from pipeline.datasets.folders.archive import name_archives
from pipeline.datasets.folders.classes import CLASSES_FILE, DeclaredClasses, read_classes
from pipeline.datasets.folders.own import LABEL_FOLDERS, label_folder
from pipeline.datasets.prepare import absent_classes, check_void, describe_split
from pipeline.datasets.raw_files import find_images
from pipeline.datasets.splits import Split, build_split
from pipeline.files import write_text
from pipeline.inspection.describe import Files, describe_disk, describe_files, describe_series
from pipeline.inspection.proposal import propose_classes, spell_catalog
from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress
from pipeline.params import Params
from pipeline.samples.class_frequencies import check_pixels, sum_counts
from pipeline.samples.images import is_turned

_NO_LIMIT = {"labeled_list": None, "unlabeled_list": None, "unlabeled_count": None, "val_list": None}


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        lines: for a person.
        faults: what would stop `prepare`, one to a line.
    """

    lines: list[str]
    faults: list[str]


def inspect_folder(root: Path, params: Params, scratch: Path, *, write: bool, progress: Progress) -> Inspection:
    """Look at a folder or an archive as `prepare` will, with every image that has labels labeled, as `folder-small` does.

    Args:
        root: what `data.root` is to name.
        params: of the experiment.
        scratch: archives are unpacked and polygons drawn below it.
        write: whether to write the proposal of `classes.yaml` into `root`.
        progress: shows the images that are read.

    Raises:
        ValueError: there is nothing at `root`.
    """
    if not root.exists():
        raise ValueError(f"{root} - expected a folder or a zip archive with your images - found none - correct the path")
    workers = params.runtime.workers
    lines: list[str] = []
    faults: list[str] = []
    try:
        opened = open_root(root, scratch)
        classes = _propose(root, opened, scratch, lines, faults, workers=workers, write=write)
        found = look_into(opened, drawn=scratch, workers=workers, classes=classes)
    except ValueError as error:
        faults.append(str(error))
    else:
        if write and classes is None:
            _write(root, opened, spell_catalog(found.data_set.catalog), lines, faults)
        files = _read_all(found.data_set, workers=workers, progress=progress)
        faults += [*found.faults, *files.faults]
        lines = [*describe_files(found, files), *lines, *_foresee(opened, found.data_set, files, params, faults)]
    return Inspection(*([name_archives(text, root, scratch) for text in texts] for texts in (lines, faults)))


def _propose(
    root: Path, opened: Path, scratch: Path, lines: list[str], faults: list[str], *, workers: int, write: bool
) -> DeclaredClasses | None:
    """Return proposed classes for label files made by hand without any, and say so; None where none are needed."""
    if (opened / CLASSES_FILE).exists() or not any((opened / name).is_dir() for name in LABEL_FOLDERS):
        return None
    labels = label_folder(opened)
    text = propose_classes(find_images(labels), where=labels, workers=workers)
    draft = scratch / "proposal" / opened.name / CLASSES_FILE
    write_text(draft, text)
    classes = read_classes(draft)
    if write:
        _write(root, opened, text, lines, faults)
    else:
        lines += [f"proposed {CLASSES_FILE} (--write puts it into the folder):", *(f"  {line}" for line in text.splitlines())]
        faults.append(
            f"{opened / CLASSES_FILE} - expected the classes - found none - make it, or let --write make it as proposed"
        )
    return classes


def _write(root: Path, opened: Path, text: str, lines: list[str], faults: list[str]) -> None:
    if root.is_file():
        faults.append(
            f"{root} - expected a folder to write {CLASSES_FILE} into - found an archive - unpack it and name the folder"
        )
    elif not (opened / CLASSES_FILE).exists():
        write_text(opened / CLASSES_FILE, text)
        lines += [f"written {opened / CLASSES_FILE}:", *(f"  {line}" for line in text.splitlines())]


def _read_all(data_set: DataSet, *, workers: int, progress: Progress) -> Files:
    """Read every image and label file as `prepare` does."""
    pairs = data_set.pairs

    def read(image_id: str) -> tuple[tuple[int, int], NDArray[np.int64], bool] | ValueError:
        pair = pairs[image_id]
        try:
            sample, counts = check_pair(image_id, pair, data_set.catalog, labels_required=False)
            return sample.size, counts, is_turned(pair.image)
        except ValueError as error:
            return error

    files = Files()
    results = zip(pairs, map_ordered(read, pairs, workers=workers), strict=True)
    for image_id, result in progress(results, total=len(pairs), unit="image"):
        if isinstance(result, ValueError):
            files.faults.append(str(result))
            continue
        files.sizes[image_id], counts, turned = result
        files.turned += turned
        if pairs[image_id].labels:
            files.counts[image_id] = counts
    return files


def _foresee(root: Path, data_set: DataSet, files: Files, params: Params, faults: list[str]) -> Iterator[str]:
    """Say what `prepare` would make of the images; what would stop it is added to `faults`."""
    section = params.data.model_copy(update={"name": "folder", "root": str(root), "labeled_fraction": 1.0, **_NO_LIMIT})
    try:
        split = build_split(data_set, data_set, section, lists=root, seed=params.seed)
    except ValueError as error:
        faults.append(str(error))
        return
    labeled = _count(data_set, split.labeled, files)
    if not files.faults:
        faults += _void_faults(data_set, split, files)
    absent = absent_classes(data_set.catalog.class_names, labeled)
    split_line, *advice = describe_split(split, absent, turned=0, twice=())
    yield f"with data.labeled_fraction=1.0, as folder-small sets it: {split_line}"
    yield from advice
    if not data_set.val:
        yield from describe_series(data_set.pairs)
    if split.unlabeled:
        pixels = sum(math.prod(files.sizes.get(image_id, (0, 0))) for image_id in split.unlabeled)
        classes = data_set.catalog.num_classes
        yield describe_disk(pixels, classes, params.softmax_store, rounds=len(params.rounds))


def _void_faults(data_set: DataSet, split: Split, files: Files) -> list[str]:
    """Return what `prepare` would say of label files that show no class, or not all while 255 is none."""
    labeled = _count(data_set, split.labeled, files)
    try:
        check_pixels(labeled, where="labeled images")
        check_void(data_set, labeled, pixels=sum(math.prod(files.sizes[image_id]) for image_id in split.labeled))
        check_pixels(_count(data_set, split.val, files), where="val images")
    except ValueError as error:
        return [str(error)]
    return []


def _count(data_set: DataSet, image_ids: Iterable[str], files: Files) -> NDArray[np.int64]:
    """Count the pixels of each class, (C,), in the label files of images, as far as they can be read."""
    known = (files.counts[image_id] for image_id in image_ids if image_id in files.counts)
    return sum_counts(known, data_set.catalog.num_classes)
