"""A folder as people make it by hand: `images`, `labels` (or `masks`) and a `classes.yaml`."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline.datasets.data_set import DataSet
from pipeline.datasets.folders.classes import CLASSES_FILE, DeclaredClasses, read_classes
from pipeline.datasets.folders.found import Found, divide
from pipeline.datasets.folders.names import describe_addition, id_of, key_of, translate_keys
from pipeline.datasets.raw_files import expect_file, expect_folder, find_images, gather, passed_over
from pipeline.machine.parallel import map_ordered
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.samples.images import read_label_values

LABEL_FOLDERS = ("labels", "masks")
"""The first that is there counts."""
_LOSSY = frozenset({".jpg", ".jpeg"})
_NAMES_ALIKE = "name both alike: labels/park.png holds the labels of images/park.jpg"
_REMEDY = "make it, as docs/data-sets.md says, or name another folder"
_PROPOSE = "make it, as docs/data-sets.md says (`python -m stages.inspect --root FOLDER` proposes one), or name another folder"


def look_at_own(root: Path, *, workers: int, classes: DeclaredClasses | None = None) -> Found:
    """Find the images of a folder; those without a label file are unlabeled.

    Args:
        root: holds `images/NAME.EXT`, `labels/NAME.png` and `classes.yaml`; subfolders of `images` are mirrored in `labels` and
            joined to the image id by `_`. `val.txt`, where there is one, lists the ids of the validation part.
        workers: threads that read label files, where it takes all of them to know what 255 is.
        classes: instead of a `classes.yaml`.

    Raises:
        ValueError: a folder or `classes.yaml` is missing, or that file is wrong.
    """
    classes = classes or read_classes(expect_file(root / CLASSES_FILE, "your data set", _PROPOSE))
    images = expect_folder(root / "images", "your data set", _REMEDY)
    labels = label_folder(root)
    faults: list[str] = []
    pictures = find_images(images)
    by_key = {key_of(file, images): file for file in pictures}
    annotations: dict[PurePosixPath, Path] = {}
    for file in find_images(labels):
        if file.suffix.lower() in _LOSSY:
            faults.append(f"{file} - expected a lossless label file - found JPEG, which changes labels - save it as PNG")
        elif (other := annotations.setdefault(key_of(file, labels), file)) != file:
            faults.append(f"{file} - expected one label file - {other} is another - remove one")
    unseen = [root / name for name in LABEL_FOLDERS if (root / name).is_dir() and root / name != labels]
    remarks = [f"{folder}: not looked at, as {labels.name} is there" for folder in unseen]
    if meant := translate_keys(annotations, by_key):
        annotations = {meant[key]: file for key, file in annotations.items()}
        remarks.append(f"{labels}: {describe_addition(meant)}")
    faults += [
        f"{images / f'{key}.*'} - expected the image of {file} - found none - {_NAMES_ALIKE}"
        for key, file in annotations.items()
        if key not in by_key
    ]
    if by_key and not annotations and not faults:
        faults.append(f"{labels} - expected label files by the names of the images - found none - label some images")
    keys = [(key_of(file, images), file) for file in pictures]
    found = ((id_of(key), file, annotations.get(key)) for key, file in keys)
    pairs, wrong = gather(found, where=images, data_set="your data set")
    faults += wrong
    train, val = divide(root, pairs, (), faults)
    if _may_mean_white(classes) and _are_black_and_white(annotations.values(), workers=workers):
        classes = classes.with_white()
        remarks.append(
            f"{labels}: label files hold 0 and 255 alone, and 255 is read as {classes.catalog.class_names[1]};"
            " `ignore: [255]` in classes.yaml if it is no class"
        )
    remarks = [*remarks, *passed_over(images), *passed_over(labels)]
    data_set = DataSet(classes.catalog, train, val, remarks=tuple(remarks), assumed_void=classes.assumed_void)
    return Found(f"images and label files of your own ({images.name}, {labels.name})", data_set, tuple(faults))


def label_folder(root: Path) -> Path:
    """Return the folder of the label files.

    Raises:
        ValueError: there is none.
    """
    there = [root / name for name in LABEL_FOLDERS if (root / name).is_dir()]
    return there[0] if there else expect_folder(root / LABEL_FOLDERS[0], "your data set", _REMEDY)


def _may_mean_white(classes: DeclaredClasses) -> bool:
    """Tell whether 255 can be the second of two classes: nobody has given numbers, or said what 255 is."""
    return classes.catalog.num_classes == 2 and classes.assumed_void == IGNORE_INDEX and not classes.numbered


def _are_black_and_white(files: Iterable[Path], *, workers: int) -> bool:
    """Tell whether 0 and 255 are all that label files hold, and both of them occur; the first file of others ends the search."""
    known: set[int] = set()
    for values in map_ordered(_values_of, files, workers=workers):
        known |= values
        if not known <= {0, 255}:
            return False
    return known == {0, 255}


def _values_of(file: Path) -> set[int]:
    try:
        return {int(value) for value in np.unique(read_label_values(file, "index"))}
    except ValueError:  # a damaged file is told of by the check of all files
        return set()
