"""Pseudo labels on disk, counted and held against true labels."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import numpy as np
import pytest
from PIL import Image

from pipeline.samples.catalog import Catalog
from pipeline.samples.images import write_label_png
from pipeline.samples.sample_lists import Sample
from pipeline.softmax_store.reader import ConfidenceStore
from pipeline.statistics.judge import PseudoLabelCounts, count_pseudo_labels

Item = TypeVar("Item")

CATALOG = Catalog(name="two", class_names=("road", "sky"), colors=((1, 2, 3), (4, 5, 6)), train_ids={7: 0, 8: 1, 0: 255})
PSEUDO = {"a": [[0, 1], [255, 1]], "b": [[0, 0], [0, 255]]}


def store(*image_ids: str) -> ConfidenceStore:
    """Images of 2 x 2 pixels, all of them predicted as road."""
    prediction = np.zeros((2, 2), np.uint8)
    found: Any = SimpleNamespace(image_ids=image_ids, size=lambda _: (2, 2), prediction=lambda _: prediction)
    return cast("ConfidenceStore", found)


def silent(items: Iterable[Item], /, *, total: int, unit: str) -> Iterable[Item]:
    assert (total, unit) in {(0, "image"), (1, "image"), (2, "image")}
    return items


def counted(folder: Path, known: list[Sample]) -> PseudoLabelCounts:
    for name, labels in PSEUDO.items():
        write_label_png(folder / f"{name}.png", np.array(labels, np.uint8), CATALOG.colors)
    return count_pseudo_labels(folder, store(*PSEUDO), known, CATALOG, workers=2, progress=silent)


def test_every_image_is_counted_and_those_with_true_labels_are_judged(tmp_path: Path) -> None:
    Image.fromarray(np.array([[7, 8], [8, 0]], np.uint8)).save(tmp_path / "truth.png")
    found = counted(tmp_path, [Sample("a", 2, 2, tmp_path / "none.png", "", tmp_path / "truth.png")])
    assert found.labeled.tolist() == [4, 2]
    assert found.confusion.tolist() == [[1, 0, 0], [0, 1, 1]]
    assert found.regions.pixels.sum() == 3
    assert found.regions.predicted_right.sum() == 1
    assert found.regions.pseudo_labeled_right.sum() == 2


def test_without_true_labels_nothing_is_judged(tmp_path: Path) -> None:
    found = counted(tmp_path, [])
    assert found.labeled.tolist() == [4, 2]
    assert not found.confusion.any()
    assert not found.regions.pixels.any()
    nothing = count_pseudo_labels(tmp_path, store(), [], CATALOG, workers=1, progress=silent)
    assert nothing.labeled.tolist() == [0, 0]


def test_a_missing_pseudo_label_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.png - expected an image file - found none"):
        count_pseudo_labels(tmp_path, store("a"), [], CATALOG, workers=1, progress=silent)
