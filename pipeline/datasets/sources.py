"""The data sets by name: each is one file that finds its images and label files, or draws them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets.catalog import Catalog


@dataclass(frozen=True)
class Pair:
    """The files of one image: the picture and, where there is one, its label map."""

    image: Path
    labels: Path | None


@dataclass(frozen=True)
class Source:
    """What a data set offers: its classes, a train pool to split, and images to evaluate on; by image id."""

    catalog: Catalog
    train: Mapping[str, Pair]
    val: Mapping[str, Pair]
