"""The experiment on a data set in its real layout, chosen by parameters alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.datasets.layouts import Labels
from tests.workspace import TINY, dvc, make_workspace


def run_experiment(folder: Path, raw: Path, changes: Mapping[str, Any], *, report: bool = False) -> dict[str, Any]:
    """Run `dvc repro` to round 1 and check what holds for every data set; on request the whole of it, to round 2 and the report.

    Returns:
        The metrics of the last round.
    """
    before = sorted((str(path), path.stat().st_mtime_ns) for path in raw.rglob("*"))
    make_workspace(folder, {**TINY, **changes})
    dvc(folder, "repro", *([] if report else ["evaluate@1"]))
    assert sorted((str(path), path.stat().st_mtime_ns) for path in raw.rglob("*")) == before, "raw data is only read"
    assert (folder / "data/report/index.html").exists() == report
    keys = ("1", "2") if report else ("1",)
    for key in keys:
        check_pseudo_labels(folder, key)
    metrics: dict[str, Any] = json.loads((folder / f"data/rounds/{keys[-1]}/metrics.json").read_text())
    return metrics


def check_pseudo_labels(folder: Path, key: str) -> None:
    """Check that there is a pseudo-label map of each unlabeled image's size, and that padding never counts."""
    selection = json.loads((folder / f"data/rounds/{key}/selection.json").read_text())
    rows = [line.split("\t") for line in (folder / "data/prepared/unlabeled.tsv").read_text("utf-8").splitlines()]
    sizes = {row[0]: (int(row[1]), int(row[2])) for row in rows[1:-1]}
    maps = {path.stem: pixels(path) for path in (folder / f"data/rounds/{key}/pseudo_labels").iterdir()}
    assert {name: labels.shape for name, labels in maps.items()} == sizes
    assert sum(labels.size for labels in maps.values()) == selection["num_pixels"]
    for label, realized in enumerate(selection["realized_counts"]):
        assert sum(int((labels == label).sum()) for labels in maps.values()) == realized


def read_list(folder: Path, name: str) -> list[str]:
    return (folder / f"data/prepared/{name}.txt").read_text("utf-8").splitlines()


def pixels(path: Path) -> Labels:
    with Image.open(path) as picture:
        return np.asarray(picture)
