"""What the values and colors of predictions mean, for who has the files alone: as JSON and as a picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from PIL import Image, ImageDraw, ImageFont
from pydantic import Field, TypeAdapter, ValidationError

from pipeline.files import atomic_path, read_json, write_text
from pipeline.predictions.label_formats import FORMATS, Colors
from pipeline.samples.catalog import Color
from pipeline.schema import Section, describe_error

LEGEND = "legend.json"
_ROW, _MARGIN = 24, 8
"""Pixels: height of a line, room around."""


class Entry(Section):
    """One class of a legend."""

    value: int
    """In label files."""
    name: str
    color: Annotated[Color, Field(strict=False)]


_ENTRIES = TypeAdapter(list[Entry])


def write_legend(out: Path, *, name: str, class_names: Sequence[str], colors: Colors) -> None:
    """Write `legend.json`, a list of value, name and color of each class, and `legend.png`.

    Args:
        out: folder of the predictions.
        name: of their format, a key of `FORMATS`.
        class_names: (C,).
        colors: (C,) RGB triples, 0-255, of the network; a format may have its own.
    """
    form = FORMATS[name]
    values, shown = form.values or range(len(class_names)), form.colors or colors
    entries = [
        Entry(value=value, name=class_name, color=color).model_dump(mode="json")
        for value, class_name, color in zip(values, class_names, shown, strict=True)
    ]
    write_text(out / LEGEND, f"{json.dumps(entries, indent=2, ensure_ascii=False)}\n")
    font = ImageFont.load_default(size=14)
    width = max(font.getlength(class_name) for class_name in class_names)
    picture = Image.new("RGB", (int(width) + 2 * _ROW + 2 * _MARGIN, _ROW * len(entries) + 2 * _MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    for row, (class_name, color) in enumerate(zip(class_names, shown, strict=True)):
        top = _MARGIN + row * _ROW
        draw.rectangle((_MARGIN, top, _MARGIN + _ROW, top + _ROW - 4), fill=tuple(color), outline="black")
        draw.text((_MARGIN + _ROW + 8, top + 1), class_name, fill="black", font=font)
    with atomic_path(out / "legend.png") as partial:
        picture.save(partial, format="PNG")


def read_legend(path: Path) -> list[Entry]:
    """Read the `legend.json` of predictions whose label files hold train ids.

    Raises:
        ValueError: it is missing or damaged, or one of predictions in another format.
    """
    try:
        entries = _ENTRIES.validate_json(json.dumps(read_json(path)))
    except ValidationError as error:
        raise ValueError(describe_error(path, error, remedy="run `python -m stages.predict` again")) from error
    names = {entry.name for entry in entries}
    if [entry.value for entry in entries] != list(range(len(names))):
        raise ValueError(f"{path} - expected train ids in order - found other values - predict with --format labels")
    return entries
