"""`annotations import` as a user types it: label files beside the others or in a new folder, and lists of a next experiment."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.files import digest
from pipeline.samples.catalog import Catalog
from pipeline.samples.images import labels_of as file_labels
from pipeline.samples.sample_lists import read_samples
from stages.prepare import main as prepare
from tests.annotations.cases import IDS, export, labels_of, lines_of, pixels, take_back, write_experiment, write_round
from tests.datasets.layouts import save, text
from tests.workspace import ROOT, change_params

STREETS = {
    "data.streets.train_images": 6,
    "data.streets.val_images": 2,
    "data.streets.height": 32,
    "data.streets.width": 64,
    "data.labeled_fraction": 0.3,
    "runtime.workers": 2,
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Label Studio would export lies in back.json: the pseudo labels, accepted as they are."""
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path)
    assert export("label-studio").exit_code == 0
    accept(tmp_path)
    return tmp_path


def accept(folder: Path, chosen: slice = slice(None)) -> None:
    tasks = json.loads((folder / "out/tasks.json").read_text())[chosen]
    for task in tasks:
        task["annotations"] = [{"id": 1, "result": task.pop("predictions")[0]["result"]}]
    (folder / "back.json").write_text(json.dumps(tasks))


def change(folder: Path, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    tasks = json.loads((folder / "back.json").read_text())
    edit(tasks)
    (folder / "back.json").write_text(json.dumps(tasks))


def split_of(folder: Path) -> dict[str, set[str]]:
    return {
        part: set((folder / f"data/prepared/{part}.txt").read_text().splitlines()) for part in ("labeled", "unlabeled", "val")
    }


def test_the_next_experiment_learns_from_the_corrected_images_and_is_measured_on_the_same(workspace: Path) -> None:
    before, rounds = split_of(workspace), digest(workspace / "data/rounds")
    done = take_back("back.json")
    assert done.exit_code == 0, done.output
    assert "4 label files written to mine/labels, 0 were there already" in done.stderr
    assert "4 labeled images before, 8 in data/lists/more.txt; commit the lists, then run" in done.stderr
    assert (
        f"dvc exp run -n more -S data.name=folder -S data.root={workspace / 'mine'} -S data.labeled_list=more.txt" in done.stderr
    )
    change_params(workspace, {"data.labeled_list": "more.txt", "data.val_list": "more-val.txt"})
    shutil.rmtree(workspace / "data/prepared")
    assert CliRunner().invoke(prepare, ["--lists", "data/lists", "--out", "data/prepared"]).exit_code == 0
    after = split_of(workspace)
    assert after["val"] == before["val"]
    assert after["labeled"] == before["labeled"] | set(IDS)
    assert digest(workspace / "data/rounds") == rounds


def test_the_embedded_data_set_becomes_a_folder_of_all_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    change_params(tmp_path, STREETS)
    (tmp_path / "data/lists").mkdir(parents=True)
    write_round(tmp_path)
    assert export("label-studio", "--suggested").exit_code == 0
    accept(tmp_path)
    before, catalog = split_of(tmp_path), Catalog.read(tmp_path / "data/prepared/catalog.json")
    val = read_samples(tmp_path / "data/prepared/val.tsv", labels=True)
    expected = {sample.image_id: file_labels(sample, catalog) for sample in val}
    chosen = {task["data"]["image_id"] for task in json.loads((tmp_path / "back.json").read_text())}
    given = {image_id: pixels(tmp_path / f"data/rounds/1/pseudo_labels/{image_id}.png") for image_id in chosen}
    done = take_back("back.json", into="streets-more")
    assert done.exit_code == 0, done.output
    assert "8 images in streets-more, 8 with label files, 2 of these corrected" in done.stderr
    options = {
        "data.name": "folder",
        "data.root": "streets-more",
        "data.labeled_list": "more.txt",
        "data.val_list": "more-val.txt",
    }
    change_params(tmp_path, options)
    shutil.rmtree(tmp_path / "data/prepared")
    prepared = CliRunner().invoke(prepare, ["--lists", "data/lists", "--out", "data/prepared"])
    assert prepared.exit_code == 0, prepared.output
    after, own = split_of(tmp_path), Catalog.read(tmp_path / "data/prepared/catalog.json")
    assert after["val"] == before["val"]
    assert after["labeled"] == before["labeled"] | chosen
    assert after["unlabeled"] == before["unlabeled"] - chosen
    assert (own.class_names, own.colors) == (catalog.class_names, catalog.colors)
    for sample in read_samples(tmp_path / "data/prepared/val.tsv", labels=True):
        assert np.array_equal(file_labels(sample, own), expected[sample.image_id])
    for sample in read_samples(tmp_path / "data/prepared/labeled.tsv", labels=True):
        if sample.image_id in chosen:
            assert np.array_equal(file_labels(sample, own), given[sample.image_id])
    # And a second time, into the folder that is there by now.
    again = take_back("back.json", into="streets-more", name="twice")
    assert "0 label files written to streets-more/labels, 2 were there already" in again.stderr


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (("classes: [{name: car, id: 700}, {name: background, id: 3}, {name: road, id: 9}]", "ignore: [0]"), (3, 9, 700, 0)),
        (("classes: [car, road, background]",), (2, 1, 0, 255)),
    ],
)
def test_label_files_are_spelled_as_the_folder_spells_them(
    lines: tuple[str, ...], values: tuple[int, ...], workspace: Path
) -> None:
    text(workspace / "mine/classes.yaml", *lines)
    for file in (workspace / "mine/labels").iterdir():
        file.unlink()
    known = np.zeros(256, int)
    known[[0, 1, 2, 255]] = values
    shutil.copytree(workspace / "mine", workspace / "other")
    save(workspace / "other/labels/known_0.png", np.full((24, 36), values[1], np.uint8))
    done = take_back("back.json", into="other")
    assert done.exit_code == 0, done.output
    assert np.array_equal(pixels(workspace / "other/labels/park.png"), known[labels_of("park")])


def test_labels_may_be_colors(workspace: Path) -> None:
    shutil.copytree(workspace / "mine", workspace / "other")
    shutil.rmtree(workspace / "other/labels")
    text(
        workspace / "other/classes.yaml",
        "labels: color",
        "classes: [{name: car, color: [9, 8, 7]}, {name: road, color: [6, 5, 4]}, {name: background, color: [3, 2, 1]}]",
        "ignore: [[0, 0, 0]]",
    )
    save(workspace / "other/labels/known_0.png", np.full((24, 36, 3), (9, 8, 7), np.uint8))
    assert take_back("back.json", into="other").exit_code == 0
    colors = np.zeros((256, 3), np.uint8)
    colors[:3] = ((3, 2, 1), (6, 5, 4), (9, 8, 7))
    assert np.array_equal(pixels(workspace / "other/labels/park.png"), colors[labels_of("park")])


def test_other_labels_and_lists_are_replaced_only_on_demand(workspace: Path) -> None:
    assert take_back("back.json").exit_code == 0
    assert "0 label files written to mine/labels, 4 were there already" in take_back("back.json").stderr
    change(workspace, lambda tasks: [task["annotations"][0]["result"].pop() for task in tasks])
    before = digest(workspace / "mine")
    [line] = lines_of(take_back("back.json"))
    assert "expected no other labels of" in line
    assert "--replace replaces them (3 more)" in line
    assert digest(workspace / "mine") == before
    assert "4 label files written" in take_back("back.json", options=["--replace"]).stderr
    text(workspace / "data/lists/mine.txt", "park")
    [line] = lines_of(take_back("back.json", name="mine"))
    assert line.startswith("data/lists/mine.txt - expected no list of that name - found another")


def test_images_that_nobody_has_annotated_and_validation_images_are_left_out(workspace: Path) -> None:
    val = min(split_of(workspace)["val"])

    def edit(tasks: list[dict[str, Any]]) -> None:
        tasks[0]["annotations"] = []
        tasks[1]["annotations"][0]["was_cancelled"] = True
        tasks[2]["data"]["image_id"] = val

    change(workspace, edit)
    done = take_back("back.json")
    assert done.exit_code == 0, done.output
    assert f"1 validation images left out, as what they measure must not train: {val}" in done.stderr
    assert "1 label files written" in done.stderr


@pytest.mark.parametrize(
    "url",
    ["/data/upload/3/0a1b2c3d-park.png", "/data/local-files/?d=mine/images/park.png", "https://host/bucket/mine/park.png?x=1"],
)
def test_images_are_known_by_the_end_of_their_url(url: str, workspace: Path) -> None:
    change(workspace, lambda tasks: [task.update(data={"image": url}) for task in tasks if task["data"]["image_id"] == "park"])
    assert take_back("back.json").exit_code == 0
    assert np.array_equal(pixels(workspace / "mine/labels/park.png"), labels_of("park"))


def test_polygons_of_label_studio_are_drawn_over_what_lies_below(workspace: Path) -> None:
    corners = [[0, 0], [50, 0], [50, 100], [0, 100]]

    def edit(tasks: list[dict[str, Any]]) -> None:
        drawn = {"type": "polygonlabels", "value": {"points": corners, "polygonlabels": ["car"]}}
        sizes = {key: tasks[-1]["annotations"][0]["result"][0][key] for key in ("original_width", "original_height")}
        tasks[-1]["annotations"][0]["result"] += [drawn | sizes, {"type": "choices", "value": {"choices": ["good"]}}]

    change(workspace, edit)
    done = take_back("back.json")
    assert done.exit_code == 0, done.output
    labels = pixels(workspace / "mine/labels/street 12.png")
    assert (labels[:, :18] == 2).all()
    assert np.array_equal(labels[:, 18:], labels_of("street 12")[:, 18:])


def test_all_that_is_wrong_is_said_and_nothing_is_written(workspace: Path) -> None:
    def edit(tasks: list[dict[str, Any]]) -> None:
        tasks[0]["data"] = {"image": "/data/upload/1/lake.png"}
        tasks[1]["annotations"].append(tasks[1]["annotations"][0])
        tasks[2]["annotations"][0]["result"][0]["original_width"] = 35
        tasks[2]["annotations"][0]["result"][1]["value"]["rle"] = [1, 2, 3]
        tasks[3]["annotations"][0]["result"][0]["value"]["brushlabels"] = ["road", "car"]
        tasks[3]["annotations"][0]["result"][1]["image_rotation"] = 90

    change(workspace, edit)
    before = digest(workspace / "mine")
    lines = lines_of(take_back("back.json"))
    for says in (
        "task 0 - expected an image of the experiment - found '/data/upload/1/lake.png' - put it into the data set first",
        "task 1 - expected one annotation - found 2 - mark one as ground truth, or delete the others",
        "expected the image's size (24, 36), not turned - found (24, 35) - annotate this very image",
        "expected a whole brush - found one that ends too early - export it again",
        "expected one label - found road, car - choose one",
        "expected the image's size (24, 36), not turned - found (24, 36) - annotate this very image",
    ):
        assert sum(says in line for line in lines) == 1, says
    assert len(lines) == 6
    assert digest(workspace / "mine") == before
    assert not list((workspace / "data/lists").iterdir())


def rename_label(tasks: list[dict[str, Any]]) -> None:
    tasks[0]["annotations"][0]["result"][0]["value"]["brushlabels"] = ["tram"]


def test_a_label_that_is_no_class_is_one_line(workspace: Path) -> None:
    change(workspace, rename_label)
    [line] = lines_of(take_back("back.json"))
    assert line.startswith("label 'tram' - expected the classes background, road, car - found it in 1 images, the first park")


def zip_of(folder: Path, **members: str | bytes) -> Path:
    with zipfile.ZipFile(folder / "back.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return folder / "back.zip"


def cvat_export(folder: Path) -> dict[str, bytes]:
    """Return what a zip of ours holds: laid out as CVAT's."""
    assert export("cvat", out="cvat").exit_code == 0
    with zipfile.ZipFile(folder / "cvat/annotations.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_what_is_wrong_with_a_zip_of_cvat_is_named_as_it_lies_there(workspace: Path) -> None:
    members = cvat_export(workspace)
    members["SegmentationClass/lake.png"] = members["SegmentationClass/park.png"]
    [line] = lines_of(take_back(str(zip_of(workspace, **members).name)))
    assert line.startswith(
        "back.zip/SegmentationClass/lake.png - expected the mask of an image of the experiment - found no image lake"
    )
    members["SegmentationClass/street 12.png"] = members.pop("SegmentationClass/lake.png")
    members["SegmentationClass/park.png"] = b"x"
    lines = lines_of(take_back(str(zip_of(workspace, **members).name)))
    assert len(lines) == 2
    assert any(
        "back.zip/SegmentationClass/street 12.png - expected labels of the image's size (24, 36)" in line for line in lines
    )
    assert any("back.zip/SegmentationClass/park.png - expected an image file" in line for line in lines)


EXPORTS = "a zip of CVAT (Segmentation mask 1.1), COCO JSON, or JSON of Label Studio"
LAKE = '{"images": [{"id": 1, "file_name": "lake.png"}], "annotations": [], "categories": []}'


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent.json", None, f"absent.json - expected {EXPORTS} - found none"),
        ("back.txt", "x", f"back.txt - expected {EXPORTS} - found another"),
        ("back.json", '{"a": 1}', f"back.json - expected {EXPORTS} - found other"),
        ("mine", None, f"mine - expected {EXPORTS} - found a folder"),
        ("back.json", "[1", "back.json - expected JSON of Label Studio - found"),
        ("back.json", '[{"image": "x", "tag": []}]', "back.json - 0.data - Field required"),
        ("back.json", "[]", "back.json - expected annotated tasks - found none of 0"),
        ("back.zip", "x", "back.zip - expected a zip archive - found"),
        ("back.json", LAKE, "back.json - image 1 - expected lake.png in the folder - found none"),
        ("back.json", '{"images": 1, "annotations": [], "categories": []}', "back.json - images - Input should be a valid list"),
    ],
)  # fmt: skip
def test_another_file_is_one_line(name: str, content: str | None, says: str, workspace: Path) -> None:
    if content is not None:
        (workspace / name).write_text(content)
    [line] = lines_of(take_back(name))
    assert line.startswith(says), line


MINE = Path("mine/classes.yaml")
SPOILED: dict[str, tuple[Callable[[], object], str, str]] = {
    "other folder": (
        lambda: save(Path("new/x.png"), np.zeros((2, 2), np.uint8)),
        "new",
        "new - expected a new folder, or one with",
    ),
    "other classes": (lambda: text(MINE, "classes: [background, road, tram]"), "mine", "expected the class car - found no such"),
    "no void": (
        lambda: text(MINE, "classes: [background, road, car]", "ignore: []"),
        "mine",
        "expected a value of pixels without a class",
    ),
    "an image less": (Path("mine/images/known_0.png").unlink, "mine", "known_0.* - expected the image of"),
    "no list": (Path("data/prepared/val.tsv").unlink, "mine", "val.tsv - expected a sample list"),
    "another source": (
        lambda: change_params(Path(), {"data.source": "camvid", "data.source_root": "x"}),
        "mine",
        "data.source - expected an experiment",
    ),
    "another image": (
        lambda: shutil.copy("mine/images/known_0.png", "mine/images/known_1.png"),
        "new",
        "known_1.png - expected the file that `prepare` has seen",
    ),
}


@pytest.mark.parametrize(("spoil", "into", "says"), SPOILED.values(), ids=SPOILED)
def test_what_is_wrong_with_the_place_is_one_line(spoil: Callable[[], object], into: str, says: str, workspace: Path) -> None:
    spoil()
    before = digest(workspace / "mine")
    [line] = lines_of(take_back("back.json", into=into))
    assert says in line
    assert digest(workspace / "mine") == before
    assert not list((workspace / "data/lists").iterdir())


@pytest.mark.parametrize("name", ["../more", "more.txt", ""])
def test_a_name_of_a_list_is_one_of_a_file(name: str, workspace: Path) -> None:
    [line] = lines_of(take_back("back.json", name=name))
    assert line.startswith("--list - expected a name of letters, digits and dashes, without .txt")
