"""The classes of a data set: their names and colors, and how label files spell them."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipeline.schema import Artifact

IGNORE_INDEX = 255
"""Train id of pixels without a class: never learned from, never counted."""

Byte = Annotated[int, Field(ge=0, le=255)]
Color = tuple[Byte, Byte, Byte]
"""Red, green and blue."""


class Catalog(Artifact):
    """The classes of a data set."""

    described_as: ClassVar[str] = "a catalog of classes"
    written_by: ClassVar[str] = "prepare"

    name: str
    """Of the data set."""
    class_names: tuple[str, ...]
    """(C,), index = train id."""
    colors: tuple[Color, ...]
    """(C,)."""
    train_ids: Mapping[int, int]
    """Value in a label file -> train id in 0..C-1 or `IGNORE_INDEX`; a value that is not listed is an error."""
    encoding: Literal["index", "color"] = "index"
    """What a value is: the number that a gray or palette file stores, or a color, see `pack_color`."""
    any_size: bool = False
    """Whether a label file may show the image's view at another resolution; the nearest value is then taken."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        count = len(self.class_names)
        if not 1 <= count <= IGNORE_INDEX:
            raise ValueError(f"expected 1 to {IGNORE_INDEX} classes - found {count}")
        if len(set(self.class_names)) != count:
            raise ValueError(f"expected every class name once - found {', '.join(self.class_names)}")
        if unprintable := [name for name in self.class_names if not name.isprintable()]:
            raise ValueError(f"expected printable class names - found {unprintable[0]!r}")
        if len(self.colors) != count:
            raise ValueError(f"expected a color for each of {count} classes - found {len(self.colors)}")
        if strange := sorted({train_id for train_id in self.train_ids.values() if not 0 <= train_id < count} - {IGNORE_INDEX}):
            raise ValueError(f"expected train ids below {count} or {IGNORE_INDEX} - found {strange[0]}")
        return self

    @property
    def num_classes(self) -> int:
        """Number of classes C; ignored pixels are no class."""
        return len(self.class_names)


def pack_color(color: Color) -> int:
    """Return an RGB triple as the one number by which `train_ids` knows it, 0xRRGGBB."""
    red, green, blue = color
    return red << 16 | green << 8 | blue
