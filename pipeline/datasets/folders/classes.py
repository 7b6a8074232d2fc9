"""`classes.yaml`: what the classes of a folder are and what its label files mean."""

import colorsys
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from pipeline.samples.catalog import IGNORE_INDEX, Catalog, Color, pack_color
from pipeline.schema import Section, describe_error, read_section

CLASSES_FILE = "classes.yaml"


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


@dataclass(frozen=True)
class DeclaredClasses:
    """The classes of a folder.

    Attributes:
        catalog: what every stage reads.
        assumed_void: value that counts as no class because nobody said otherwise; None = they said.
        numbered: whether somebody gave a class a number of its own.
    """

    catalog: Catalog
    assumed_void: int | None = None
    numbered: bool = False

    def with_white(self) -> "DeclaredClasses":
        """Return two classes read from masks of 0 and 255."""
        catalog = self.catalog.model_copy(update={"train_ids": {0: 0, 255: 1}})
        return DeclaredClasses(catalog, numbered=True)


def read_classes(path: Path) -> DeclaredClasses:
    """Read a `classes.yaml`.

    Raises:
        ValueError: it is missing or wrong; names the key.
    """
    entries = read_section(path, Classes)
    names = tuple(entry.name for entry in entries.classes)
    colors = tuple(entry.color or choose_color(place, len(names)) for place, entry in enumerate(entries.classes))
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
    return DeclaredClasses(catalog, assumed_void, numbered=any(entry.id is not None for entry in entries.classes))


def choose_color(place: int, count: int) -> tuple[int, int, int]:
    """Return one of `count` colors that are easy to tell apart; equal for equal arguments."""
    red, green, blue = colorsys.hsv_to_rgb(place / count, 0.85 if place % 2 else 0.6, 0.95 if place % 3 else 0.7)
    return round(255 * red), round(255 * green), round(255 * blue)
