"""`prepare` opens every file once: whatever is wrong with a data set ends it with one line, and leaves nothing behind."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from stages.prepare import main
from tests.workspace import ROOT, change_params, said

NUMBERS = range(8)
"""Images 0-5 have label files, 6 and 7 have none; 4 and 5 are evaluated on."""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with parameters, lists and a data set of one's own below `mine`."""
    rng = np.random.default_rng(0)
    for name in ("lists", "mine/images", "mine/labels"):
        (tmp_path / name).mkdir(parents=True)
    for number in NUMBERS:
        labels = rng.integers(0, 3, (12, 16)).astype(np.uint8)
        image = np.repeat(labels[..., None] * 80, 3, axis=2)
        Image.fromarray(image).save(tmp_path / f"mine/images/street {number}.png")
        if number < 6:
            Image.fromarray(labels).save(tmp_path / f"mine/labels/street {number}.png")
    (tmp_path / "mine/classes.yaml").write_text("classes: [sky, road, car]\n")
    (tmp_path / "lists/val.txt").write_text("street 4\nstreet 5\n")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    mine = {"name": "folder", "root": str(tmp_path / "mine"), "labeled_fraction": 1.0, "val_list": "val.txt"}
    change_params(tmp_path, {f"data.{key}": value for key, value in mine.items()})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare() -> Result:
    return CliRunner().invoke(main, ["--lists", "lists", "--out", "prepared"])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def clear(*folders: Path) -> None:
    for folder in folders:
        for file in folder.iterdir():
            file.unlink()


def save(path: Path, labels: np.ndarray) -> None:
    Image.fromarray(labels.astype(np.uint8)).save(path)


def ignore_all(mine: Path, *numbers: int) -> None:
    for number in numbers:
        save(mine / f"labels/street {number}.png", np.full((12, 16), 255))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated image": (
        lambda mine: truncate(mine / "images/street 0.png"),
        "images/street 0.png - expected an image file -",
    ),
    "truncated unlabeled image": (
        lambda mine: truncate(mine / "images/street 7.png"),
        "images/street 7.png - expected an image file -",
    ),
    "empty image file": (
        lambda mine: (mine / "images/street 4.png").write_bytes(b""),
        "images/street 4.png - expected an image file -",
    ),
    "text named as an image": (
        lambda mine: (mine / "images/street 1.png").write_text("not found"),
        "images/street 1.png - expected an image file -",
    ),
    "truncated label file": (
        lambda mine: truncate(mine / "labels/street 0.png"),
        "labels/street 0.png - expected an image file -",
    ),
    "value outside the classes": (
        lambda mine: save(mine / "labels/street 1.png", np.full((12, 16), 7)),
        "labels/street 1.png - expected values of mine's classes - found 7 - correct the label file or the class list",
    ),
    "value outside the classes in val": (
        lambda mine: save(mine / "labels/street 5.png", np.full((12, 16), 3)),
        "labels/street 5.png - expected values of mine's classes - found 3 -",
    ),
    "no labeled pixel with a class": (
        lambda mine: ignore_all(mine, 0, 1, 2, 3),
        "labeled images - expected pixels with a class - found only ignored ones -",
    ),
    "no validation pixel with a class": (
        lambda mine: ignore_all(mine, 4, 5),
        "val images - expected pixels with a class - found only ignored ones -",
    ),
    "labels of another size": (
        lambda mine: save(mine / "labels/street 2.png", np.zeros((16, 12))),
        "labels/street 2.png - expected labels of the image's size (12, 16) - found (16, 12) - turn them as viewers",
    ),
    "colors where numbers are declared": (
        lambda mine: save(mine / "labels/street 3.png", np.zeros((12, 16, 3))),
        "labels/street 3.png - expected one integer per pixel - found uint8 (12, 16, 3) -",
    ),
    "label file without image": (
        lambda mine: (mine / "images/street 3.png").unlink(),
        "images/street 3.* - expected the image of",
    ),
    "validation image without label file": (
        lambda mine: (mine / "labels/street 4.png").unlink(),
        "images/street 4.png - expected a label file for this image - found none -",
    ),
    "no label file at all": (
        lambda mine: clear(mine / "labels"),
        "mine/labels - expected label files by the names of the images - found none - label some images",
    ),
    "no image": (
        lambda mine: clear(mine / "images", mine / "labels"),
        "mine/images - expected images of your data set - found none",
    ),
    "no class list": (
        lambda mine: (mine / "classes.yaml").unlink(),
        "mine/classes.yaml - expected a file of your data set - found none",
    ),
    "empty list": (
        lambda mine: (mine.parent / "lists/val.txt").write_text(""),
        "lists/val.txt - expected",
    ),
    "unknown image in a list": (
        lambda mine: (mine.parent / "lists/val.txt").write_text("street 4\nstreet 9\n"),
        "street 9",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_data_set_is_named_in_one_line(workspace: Path, damage: str) -> None:
    harm, says = DAMAGES[damage]
    harm(workspace / "mine")
    done = prepare()
    assert done.exit_code == 1
    errors = said(done.stderr)
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("Error: ")
    assert says in errors[0]
    assert not (workspace / "prepared").exists()


def test_the_undamaged_data_set_is_prepared(workspace: Path) -> None:
    assert prepare().exit_code == 0
    lists = {name: (workspace / f"prepared/{name}.txt").read_text().splitlines() for name in ("labeled", "unlabeled", "val")}
    assert lists == {
        "labeled": [f"street {number}" for number in range(4)],
        "unlabeled": ["street 6", "street 7"],
        "val": ["street 4", "street 5"],
    }


def test_a_class_that_no_labeled_pixel_shows_is_reported_and_has_no_share(workspace: Path) -> None:
    for number in range(4):
        save(workspace / f"mine/labels/street {number}.png", np.full((12, 16), number % 2))
    done = prepare()
    assert done.exit_code == 0
    assert "no labeled pixel shows car" in done.stderr
    priors = json.loads((workspace / "prepared/class_priors.json").read_text())
    assert priors["class_priors"]["car"] == 0


def test_one_unlabeled_image_is_enough(workspace: Path) -> None:
    (workspace / "mine/images/street 7.png").unlink()
    assert prepare().exit_code == 0
    assert (workspace / "prepared/unlabeled.txt").read_text() == "street 6\n"


def test_no_unlabeled_image_is_reported(workspace: Path) -> None:
    for number in (6, 7):
        (workspace / f"mine/images/street {number}.png").unlink()
    done = prepare()
    assert done.exit_code == 0
    assert "no image is left unlabeled" in done.stderr


def test_label_files_of_unlabeled_images_change_nothing_but_what_measures(workspace: Path) -> None:
    change_params(workspace, {"data.labeled_fraction": 0.3})
    assert prepare().exit_code == 0
    first = {file.name: file.read_bytes() for file in (workspace / "prepared").iterdir()}
    for name in first["unlabeled.txt"].decode().splitlines():
        (workspace / f"mine/labels/{name}.png").unlink(missing_ok=True)
    assert prepare().exit_code == 0
    second = {file.name: file.read_bytes() for file in (workspace / "prepared").iterdir()}
    assert {name for name in first if first[name] != second.get(name)} == {"unlabeled_truth.tsv"}


@pytest.mark.parametrize("name", ["straße am fluß", "parc, été (1)", "街", "a" * 120])
def test_images_may_have_any_name(workspace: Path, name: str) -> None:
    for folder in ("images", "labels"):
        (workspace / f"mine/{folder}/street 0.png").rename(workspace / f"mine/{folder}/{name}.png")
    assert prepare().exit_code == 0
    assert name in (workspace / "prepared/labeled.txt").read_text("utf-8").splitlines()
