"""The classes of a data set: their names and colors, and how label files spell them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

from pipeline.files import read_json, write_json

IGNORE_INDEX = 255
"""Train id of pixels without a class: never learned from, never counted."""


@dataclass(frozen=True)
class Catalog:
    """The classes of a data set.

    Attributes:
        name: of the data set.
        class_names: (C,), index = train id.
        colors: (C,) RGB triples, 0-255.
        train_ids: value in a label file -> train id in 0..C-1 or `IGNORE_INDEX`; a value that is not listed is an error.
        encoding: what a value is: `index`, the number that a gray or palette file stores, or `color`, see `pack_color`.
        any_size: whether a label file may show the image's view at another resolution; the nearest value is then taken.
    """

    name: str
    class_names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    train_ids: Mapping[int, int]
    encoding: Literal["index", "color"] = "index"
    any_size: bool = False

    def __post_init__(self) -> None:
        """Check what a new data set can get wrong.

        Raises:
            ValueError: no class or more than 255, a name twice, a color missing, or a train id that is no class.
        """
        count = len(self.class_names)
        if not 1 <= count <= IGNORE_INDEX:
            raise ValueError(f"{self.name} - expected 1 to {IGNORE_INDEX} classes - found {count} - correct the catalog")
        if len(set(self.class_names)) != count:
            raise ValueError(f"{self.name} - expected every class name once - found {', '.join(self.class_names)} - rename one")
        if len(self.colors) != count:
            raise ValueError(f"{self.name} - expected a color for each of {count} classes - found {len(self.colors)} - add them")
        if strange := sorted({train_id for train_id in self.train_ids.values() if not 0 <= train_id < count} - {IGNORE_INDEX}):
            raise ValueError(
                f"{self.name} - expected train ids below {count} or {IGNORE_INDEX} - found {strange[0]} - correct it"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes C; ignored pixels are no class."""
        return len(self.class_names)


def pack_color(color: tuple[int, int, int]) -> int:
    """Return an RGB triple as the one number by which `train_ids` knows it, 0xRRGGBB."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def write_catalog(path: Path, catalog: Catalog) -> None:
    """Write a catalog as JSON."""
    write_json(path, asdict(catalog))


def read_catalog(path: Path) -> Catalog:
    """Read what `write_catalog` wrote.

    Raises:
        ValueError: the file is missing or is no catalog.
    """
    tree = read_json(path)
    try:
        encoding = tree["encoding"]
        if encoding not in {"index", "color"}:
            raise ValueError(f"encoding {encoding!r}")  # noqa: TRY301 - one door for all
        return Catalog(
            name=str(tree["name"]),
            class_names=tuple(tree["class_names"]),
            colors=tuple((int(red), int(green), int(blue)) for red, green, blue in tree["colors"]),
            train_ids={int(value): int(train_id) for value, train_id in tree["train_ids"].items()},
            encoding=cast("Literal['index', 'color']", encoding),
            any_size=bool(tree["any_size"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} - expected a catalog of classes - {error!r} - run the stage `prepare`") from error
