"""What a data set offers, whatever its layout on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.samples.catalog import Catalog


@dataclass(frozen=True)
class Pair:
    """The files of one image: the picture and, where there is one, its label map."""

    image: Path
    labels: Path | None


@dataclass(frozen=True)
class DataSet:
    """The classes of a data set and its images, by image id.

    Attributes:
        catalog: the classes, and how its label files spell them.
        train: the train pool, which is split into labeled and unlabeled images; some may have no label file.
        val: images to evaluate on; empty where the data set has no such part.
        extra: more images that are only ever unlabeled and do not count for the fraction that is labeled.
        labeled: ids of the labeled set that the data set itself defines; None where it defines none.
        remarks: what a person should know of its files, one to a line: what was left out, and why.
        assumed_void: value of label files that counts as no class because nobody said otherwise; None = they said.
    """

    catalog: Catalog
    train: Mapping[str, Pair]
    val: Mapping[str, Pair]
    extra: Mapping[str, Pair] = field(default_factory=dict)
    labeled: frozenset[str] | None = None
    remarks: tuple[str, ...] = ()
    assumed_void: int | None = None

    @property
    def pairs(self) -> Mapping[str, Pair]:
        """All images."""
        return {**self.extra, **self.train, **self.val}
