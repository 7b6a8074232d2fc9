"""A `classes.yaml` that fits what lies there: from the values of label files, or from the classes that a tool has named."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.machine.parallel import map_ordered
from pipeline.samples.catalog import IGNORE_INDEX, Catalog, Color
from pipeline.samples.images import read_label_values, read_palette

Encoding = Literal["index", "color"]
_MOST_VALUES = IGNORE_INDEX
"""Classes that a catalog can have; label files of more values are no label files."""
_BARE = re.compile("[A-Za-z_][A-Za-z0-9_ ]*[A-Za-z0-9_]")
_OF_YAML = frozenset({"true", "false", "null", "yes", "no", "on", "off"})
_YOURS = "# A proposal of `python -m stages.inspect`: the names are yours to give.\n"


def propose_classes(files: Sequence[Path], *, where: Path, workers: int) -> str:
    """Return a `classes.yaml` for label files below `where` that nothing explains; what cannot be read is passed over.

    Raises:
        ValueError: they hold more values than there can be classes, or none can be read.
    """
    encoding: Encoding = "index"
    counts = _count(files, encoding, workers=workers)
    if counts is None:
        encoding = "color"
        counts = _count(files, encoding, workers=workers)
    if not counts or len(counts) > _MOST_VALUES:
        known = f"{len(counts)}{' and more' if len(counts) > _MOST_VALUES else ''}" if counts else "none that can be read"
        raise ValueError(
            f"{where} - expected label files of at most {_MOST_VALUES} values - found {known} - save them as PNG, without"
            " smoothing or compression that loses colors"
        )
    values = sorted(counts)
    if encoding == "color":
        names = _names(values, white=0xFFFFFF)
        colors = {name: (value >> 16, value >> 8 & 255, value & 255) for name, value in names.items()}
        return f"{_YOURS}labels: color\n{_spell(colors=colors)}"
    if IGNORE_INDEX in values and values != [0, IGNORE_INDEX]:
        values.remove(IGNORE_INDEX)  # pixels without a class, as long as nobody says otherwise
    palette = next((found for file in files[:1] if (found := _palette(file))), [])
    names = _names(values, white=IGNORE_INDEX)
    colors = {name: palette[value] for name, value in names.items() if value < len(palette)}
    numbered = list(names.values()) != list(range(len(names)))
    return f"{_YOURS}{_spell(names, ids=names if numbered else {}, colors=colors if len(colors) == len(names) else {})}"


def spell_catalog(catalog: Catalog) -> str:
    """Return the `classes.yaml` that says what a tool's own files say."""
    colors = dict(zip(catalog.class_names, catalog.colors, strict=True))
    if catalog.encoding == "color":
        return f"labels: color\n{_spell(colors=colors)}"
    return _spell(catalog.class_names, colors=colors)


def _names(values: Sequence[int], *, white: int) -> dict[str, int]:
    """Return names of values: of two of which the first is 0, background and foreground."""
    if values in ([0, 1], [0, white]):
        return {"background": values[0], "foreground": values[1]}
    return {f"class_{value if value < 65536 and white == IGNORE_INDEX else place}": value for place, value in enumerate(values)}


def _spell(names: Iterable[str] = (), *, ids: Mapping[str, int] | None = None, colors: Mapping[str, Color]) -> str:
    lines = []
    for name in names or colors:
        entry = {"name": _quoted(name)}
        if ids:
            entry["id"] = str(ids[name])
        if name in colors:
            entry["color"] = f"[{', '.join(map(str, colors[name]))}]"
        pairs = ", ".join(f"{key}: {value}" for key, value in entry.items())
        lines.append(f"  - {{{pairs}}}\n" if len(entry) > 1 else f"  - {entry['name']}\n")
    return f"classes:\n{''.join(lines)}"


def _quoted(name: str) -> str:
    return name if _BARE.fullmatch(name) and name.lower() not in _OF_YAML else json.dumps(name, ensure_ascii=False)


def _palette(file: Path) -> list[Color]:
    try:
        return read_palette(file)
    except ValueError:
        return []


def _count(files: Sequence[Path], encoding: Encoding, *, workers: int) -> Counter[int] | None:
    """Count the pixels of every value; None where numbers are asked for and a file holds colors."""

    def values_of(file: Path) -> tuple[list[int], list[int]] | None:
        try:
            values, counts = np.unique(read_label_values(file, encoding), return_counts=True)
        except ValueError as error:
            return None if "one integer per pixel" in str(error) else ([], [])
        return values.tolist(), counts.tolist()

    total: Counter[int] = Counter()
    for found in map_ordered(values_of, files, workers=workers):
        if found is None:
            return None
        for value, count in zip(*found, strict=True):
            total[value] += count
        if len(total) > _MOST_VALUES:
            break
    return total
