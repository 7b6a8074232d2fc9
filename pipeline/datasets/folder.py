"""A data set of one's own: `images`, `labels` and a `classes.yaml` that says what the label files mean."""

import colorsys
import re
import unicodedata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from pipeline.datasets.data_set import DataSet
from pipeline.datasets.raw_files import collect, expect_file, expect_folder, expect_images, find_images, passed_over
from pipeline.samples.catalog import IGNORE_INDEX, Catalog, Color, pack_color
from pipeline.samples.sample_lists import read_ids
from pipeline.schema import Section, describe_error, read_section

_LOSSY = frozenset({".jpg", ".jpeg"})
_REMEDY = "make it, as docs/data-sets.md says, or name another folder"


def _read_hex(value: object) -> object:
    """Return the three numbers of "#800000"; anything else as it is."""
    if isinstance(value, str) and re.fullmatch("#[0-9A-Fa-f]{6}", value):
        return tuple(bytes.fromhex(value[1:]))
    return value


OwnColor = Annotated[Color, Field(strict=False), BeforeValidator(_read_hex)]
"""Three numbers, or "#800000"."""


class ClassEntry(Section):
    """One class in `classes.yaml`."""

    name: Annotated[str, Field(min_length=1)]
    """Unique, printable."""
    id: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Value in label files by index; null = the place in the list, from 0."""
    color: OwnColor | None = None
    """RGB; null = a color is chosen, where label files hold no colors."""


class Classes(Section):
    """`classes.yaml`."""

    labels: Literal["index", "color"] = "index"
    """What a label file holds: one number per pixel (gray or palette), or one color."""
    classes: Annotated[list[ClassEntry], Field(min_length=1)]
    """Entries, or names alone."""
    ignore: list[Annotated[int, Field(ge=0, le=65535)] | OwnColor] | None = None
    """Values or colors of pixels without a class; null = 255 by index unless it is a class, none by color."""

    @field_validator("classes", mode="before")
    @classmethod
    def _names_alone(cls, value: object) -> object:
        return [{"name": entry} if isinstance(entry, str) else entry for entry in value] if isinstance(value, list) else value


def find_folder(root: Path) -> DataSet:
    """Find the images of a folder; those without a label file are unlabeled.

    Args:
        root: holds `images/NAME.EXT`, `labels/NAME.png` and `classes.yaml`; subfolders of `images` are mirrored in `labels` and
            joined to the image id by `_`. `val.txt`, where there is one, lists the ids of the validation part.

    Raises:
        ValueError: something is missing or wrong; names the file, and the key of `classes.yaml`.
    """
    catalog, assumed_void = _read_classes(expect_file(root / "classes.yaml", "your data set", _REMEDY))
    images = expect_folder(root / "images", "your data set", _REMEDY)
    labels = expect_folder(root / "labels", "your data set", _REMEDY)
    pictures = find_images(images)
    by_name = {_key(file, images): file for file in pictures}
    annotations: dict[Path, Path] = {}
    for file in find_images(labels):
        if file.suffix.lower() in _LOSSY:
            raise ValueError(f"{file} - expected a lossless label file - found JPEG, which changes labels - save it as PNG")
        if _key(file, labels) in annotations:
            raise ValueError(f"{file} - expected one label file - {annotations[_key(file, labels)]} is another - remove one")
        annotations[_key(file, labels)] = file
    expect_images(
        ((file, by_name.get(key, images / f"{key}.*")) for key, file in annotations.items()),
        remedy="name both alike: labels/park.png holds the labels of images/park.jpg",
    )
    if by_name and not annotations:
        raise ValueError(f"{labels} - expected label files by the names of the images - found none - label some images")
    found = (("_".join(_key(file, images).parts), file, annotations.get(_key(file, images))) for file in pictures)
    pairs = collect(found, where=images, data_set="your data set")
    listed = root / "val.txt"
    val = {image_id: pairs[image_id] for image_id in read_ids(listed, pairs)} if listed.exists() else {}
    train = {image_id: pair for image_id, pair in pairs.items() if image_id not in val}
    remarks = (*passed_over(images), *passed_over(labels))
    return DataSet(catalog, train, val, remarks=remarks, assumed_void=assumed_void)


def _key(file: Path, folder: Path) -> Path:
    """Return the path below `folder` without its ending: what an image and its label file share.

    In one Unicode form: file systems differ in how they spell an umlaut.
    """
    return Path(unicodedata.normalize("NFC", str(file.relative_to(folder).with_suffix(""))))


def _read_classes(path: Path) -> tuple[Catalog, int | None]:
    """Return the classes, and the value that is ignored although nobody said so."""
    entries = read_section(path, Classes)
    names = tuple(entry.name for entry in entries.classes)
    colors = tuple(entry.color or _choose_color(place, len(names)) for place, entry in enumerate(entries.classes))
    ignored, assumed_void = entries.ignore, None
    if entries.labels == "color":
        if uncolored := [entry.name for entry in entries.classes if entry.color is None]:
            raise ValueError(
                f"{path} - classes - expected a color for each, as labels are colors - {uncolored[0]} has none - add it"
            )
        values = [pack_color(color) for color in colors]
    else:
        values = [place if entry.id is None else entry.id for place, entry in enumerate(entries.classes)]
        if ignored is None and IGNORE_INDEX not in values:
            ignored, assumed_void = [IGNORE_INDEX], IGNORE_INDEX
    if any(isinstance(value, tuple) != (entries.labels == "color") for value in ignored or []):
        expected, found = ("colors", "a number") if entries.labels == "color" else ("numbers", "a color")
        raise ValueError(
            f"{path} - ignore - expected {expected}, as `labels` is {entries.labels} - found {found}"
            " - correct it, or set `labels: color` where label files hold colors, `labels: index` where numbers"
        )
    void = {pack_color(value) if isinstance(value, tuple) else value for value in ignored or []}
    if len({*values, *void}) < len(values) + len(void):
        raise ValueError(f"{path} - classes - expected every id or color once - found one twice - correct classes or ignore")
    train_ids = {value: train_id for train_id, value in enumerate(values)} | dict.fromkeys(sorted(void), IGNORE_INDEX)
    try:
        catalog = Catalog(
            name=path.parent.name or "folder", class_names=names, colors=colors, train_ids=train_ids, encoding=entries.labels
        )
    except ValidationError as error:
        raise ValueError(describe_error(path, error, remedy="correct the classes")) from error
    return catalog, assumed_void


def _choose_color(place: int, count: int) -> tuple[int, int, int]:
    """Return one of `count` colors that are easy to tell apart; equal for equal arguments."""
    red, green, blue = colorsys.hsv_to_rgb(place / count, 0.85 if place % 2 else 0.6, 0.95 if place % 3 else 0.7)
    return round(255 * red), round(255 * green), round(255 * blue)
