"""A folder of one's own as an experiment has it after round 1: lists, pseudo labels, a table of suggestions."""

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from pipeline.files import digest
from pipeline.samples.catalog import Catalog
from pipeline.samples.images import write_label_png
from pipeline.samples.sample_lists import read_samples
from pipeline.selection import Selection
from pipeline.suggestions.table import Suggestion, write_suggestions
from stages.annotations import main
from stages.prepare import main as prepare
from tests.datasets.layouts import Labels, save, text
from tests.workspace import ROOT, change_params

WITH_BACKGROUND = ("background", "road", "car")
WITHOUT = ("road", "traffic light", "sky")
UNLABELED = ("north/0001.jpg", "park.png", "street 12.png", "Süd 3.jpg")
"""Images without labels; park is odd in size and half of it ignored."""
IDS = ("Süd 3", "north_0001", "park", "street 12")


def labels_of(image_id: str, *, void: bool = True) -> Labels:
    """Return the label map of an image, (H, W) uint8, always the same; every class and, with `void`, ignored pixels occur."""
    rng = np.random.default_rng(sum(image_id.encode()))
    size = (13, 7) if image_id == "park" else (24, 36)
    labels: Labels = np.kron(rng.integers(0, 3, (6, 9)), np.ones((4, 4), int)).astype(np.uint8)[: size[0], : size[1]]
    labels[0, :3] = (0, 1, 2)
    if void:
        labels[rng.random(size) < 0.3] = 255
        labels[0, :3] = (0, 1, 2)
    return labels


def write_experiment(folder: Path, classes: Sequence[str] = WITH_BACKGROUND, data: Mapping[str, Any] | None = None) -> None:
    """Write `mine`, `params.yaml`, `data/prepared`, `data/rounds/1` and `data/suggestions/1.tsv` into a folder."""
    mine = folder / "mine"
    rng = np.random.default_rng(0)
    for name in (*UNLABELED, *(f"known_{number}.png" for number in range(5))):
        height, width = labels_of(Path(name).stem).shape
        save(mine / "images" / name, rng.integers(0, 256, (height, width, 3)).astype(np.uint8))
        if name.startswith("known"):
            save(mine / "labels" / name, labels_of(name, void=False))
    text(mine / "classes.yaml", f"classes: [{', '.join(classes)}]")
    shutil.copy(ROOT / "params.yaml", folder)
    common = {"data.name": "folder", "data.root": "mine", "data.labeled_fraction": 1.0, "runtime.workers": 2}
    change_params(folder, common | dict(data or {}))
    (folder / "data/lists").mkdir(parents=True)
    write_round(folder)


def write_round(folder: Path) -> None:
    """Prepare what `params.yaml` says, and give its unlabeled images pseudo labels and some of them scores."""
    done = CliRunner().invoke(prepare, ["--lists", "data/lists", "--out", "data/prepared"])
    assert done.exit_code == 0, done.output
    catalog = Catalog.read(folder / "data/prepared/catalog.json")
    own = folder / "data/rounds/1"
    (own / "pseudo_labels").mkdir(parents=True)
    known = json.loads((ROOT / "tests/golden/selection.json").read_text())["dars"]
    fields = {key: (3 * value)[: catalog.num_classes] if isinstance(value, list) else value for key, value in known.items()}
    fields |= {"class_names": list(catalog.class_names), "class_priors": [1.0] + [0.0] * (catalog.num_classes - 1)}
    Selection.model_validate_json(json.dumps(fields)).write(own / "selection.json")
    samples = read_samples(folder / "data/prepared/unlabeled.tsv", labels=False)
    for sample in samples:
        labels = np.resize(labels_of(sample.image_id), sample.size) if sample.size != (13, 7) else labels_of(sample.image_id)
        write_label_png(own / "pseudo_labels" / f"{sample.image_id}.png", labels, catalog.colors)
    ranked = [Suggestion(sample.image_id, sample.image, 2.0 - place, "why not") for place, sample in enumerate(samples[2:0:-1])]
    write_suggestions(folder / "data/suggestions/1.tsv", ranked, selection=digest(own / "selection.json"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def export(name: str, *options: str, out: str = "out") -> Result:
    return run("export", "--format", name, "--round", "1", "--out", out, *options)


def take_back(*files: str, into: str = "mine", name: str = "more", options: Sequence[str] = ()) -> Result:
    given = [word for file in files for word in ("--from", file)]
    return run("import", *given, "--into", into, "--list", name, *options)


def lines_of(done: Result) -> list[str]:
    """Return what is wrong, of a command that has ended so."""
    assert done.exit_code == 1, done.output
    lines = done.stderr.splitlines()
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    wrong = next((place for place, line in enumerate(lines) if line.startswith("wrong: ")), None)
    return errors if wrong is None else lines[wrong + 1 :]


def pixels(path: Path | bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path) as picture:
        return np.asarray(picture)
