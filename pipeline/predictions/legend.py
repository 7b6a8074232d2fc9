"""What the values and colors of predictions mean, for who has the files alone: as JSON and as a picture."""

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipeline.files import atomic_path, write_text
from pipeline.predictions.label_formats import FORMATS, Colors

_ROW, _MARGIN = 24, 8
"""Pixels: height of a line, room around."""


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
        {"value": value, "name": class_name, "color": list(color)}
        for value, class_name, color in zip(values, class_names, shown, strict=True)
    ]
    write_text(out / "legend.json", f"{json.dumps(entries, indent=2, ensure_ascii=False)}\n")
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
