"""Out to a tool, through the tool's own reader and writer, and back: equal masks.

The libraries pin older packages than the project, so they live in an environment of their own, whose interpreter
ANNOTATION_TOOLS_PYTHON names (docs/annotations.md says how to make it). Without it, what they wrote of the same masks is read
from `tests/golden/annotation_tools.json`, which `python -m tests.annotations.record` writes.
"""

import base64
import json
import os
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from tests.annotations.cases import IDS, WITH_BACKGROUND, WITHOUT, export, labels_of, pixels, take_back, write_experiment
from tests.workspace import ROOT

PYTHON = os.environ.get("ANNOTATION_TOOLS_PYTHON")
RECORD = ROOT / "tests/golden/annotation_tools.json"
ENDINGS = {"cvat": ".zip", "coco": ".json", "label-studio": ".json"}
CASES = [(name, classes) for name in ENDINGS for classes in (WITH_BACKGROUND, WITHOUT)]


def by_the_tool(python: str, name: str, out: Path, corrected: Path) -> None:
    """Let the tool's library read and write."""
    script = ROOT / "tests/annotations/tools.py"
    done = subprocess.run([python, script, name, out, corrected], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def check_back(folder: Path, corrected: Path, into: str = "mine") -> None:
    """Take the tool's file back and hold the label files against the pseudo labels that went out."""
    done = take_back(str(corrected), into=into)
    assert done.exit_code == 0, done.output
    for image_id in IDS:
        name = image_id if into != "mine" else image_id.replace("north_", "north/")
        assert np.array_equal(pixels(folder / into / "labels" / f"{name}.png"), labels_of(image_id)), image_id
    assert set(IDS) <= set((folder / "data/lists/more.txt").read_text().splitlines())


@pytest.mark.skipif(PYTHON is None, reason="ANNOTATION_TOOLS_PYTHON names no interpreter with datumaro and label-studio-sdk")
@pytest.mark.parametrize(("name", "classes"), CASES)
def test_masks_are_equal_after_the_tools_own_reader_and_writer(
    name: str, classes: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path, classes)
    assert export(name).exit_code == 0
    assert PYTHON
    by_the_tool(PYTHON, name, tmp_path / "out", tmp_path / f"corrected{ENDINGS[name]}")
    check_back(tmp_path, tmp_path / f"corrected{ENDINGS[name]}")


@pytest.mark.parametrize("into", ["mine", "new"])
@pytest.mark.parametrize(("name", "classes"), CASES)
def test_masks_are_equal_in_what_the_tools_libraries_wrote(
    name: str, classes: tuple[str, ...], into: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path, classes)
    known = json.loads(RECORD.read_text())[f"{name} {classes[0]}"]
    corrected = tmp_path / f"corrected{ENDINGS[name]}"
    corrected.write_bytes(zlib.decompress(base64.b64decode(known)))
    check_back(tmp_path, corrected, into)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
@pytest.mark.parametrize("classes", [WITH_BACKGROUND, WITHOUT])
def test_pycocotools_reads_the_masks_that_went_out(
    classes: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path, classes)
    assert export("coco").exit_code == 0
    read = COCO(tmp_path / "out/annotations.json")
    names = {number: entry["name"] for number, entry in read.cats.items()}
    for image in read.imgs.values():
        image_id = Path(image["file_name"]).with_suffix("").as_posix().replace("/", "_")
        labels = np.full((image["height"], image["width"]), 0 if "background" in classes else 255, np.uint8)
        for annotation in read.loadAnns(read.getAnnIds(imgIds=image["id"])):
            mask = read.annToMask(annotation).astype(bool)
            rows, columns = np.nonzero(mask)
            assert annotation["area"] == mask.sum()
            assert annotation["bbox"] == [
                columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1,
            ]  # fmt: skip
            name = names[annotation["category_id"]]
            labels[mask] = classes.index(name) if name in classes else 255
        assert np.array_equal(labels, labels_of(image_id))
