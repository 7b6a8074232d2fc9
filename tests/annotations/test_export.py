"""`annotations export` as a user types it."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.annotations.brush import decode_brush
from pipeline.annotations.labels import choose_labels
from pipeline.annotations.material import tool_name
from pipeline.annotations.write import FORMATS
from pipeline.files import digest
from pipeline.samples.images import write_label_png
from pipeline.suggestions.table import read_suggestions, write_suggestions
from tests.annotations.cases import WITHOUT, export, labels_of, lines_of, pixels, run, write_experiment

COLORS = ((10, 0, 0), (0, 20, 0), (0, 0, 30))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path)
    return tmp_path


def tasks(folder: Path) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads((folder / "out/tasks.json").read_text())
    return read


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_labels_are_the_same_bytes_and_replace_an_earlier_export(name: str, workspace: Path) -> None:
    first = export(name)
    assert first.exit_code == 0, first.output
    assert "4 images, pseudo labels of round 1, selection " in first.stderr
    assert "ignored pixels have the label ignored; background is what nothing covers" in first.stderr
    before = digest(workspace / "out")
    assert export(name).exit_code == 0
    assert digest(workspace / "out") == before
    assert not list(workspace.glob(".*.partial"))


def test_a_zip_of_cvat_has_places_in_a_palette_and_nothing_that_its_label_map_does_not_declare(workspace: Path) -> None:
    assert export("cvat").exit_code == 0
    with zipfile.ZipFile(workspace / "out/annotations.zip") as archive:
        declared = archive.read("labelmap.txt").decode().splitlines()
        assert declared[0] == "# label:color_rgb:parts:actions"
        assert [line.split(":")[0] for line in declared[1:]] == ["background", "road", "car", "ignored"]
        assert declared[1] == "background:0,0,0::"
        names = archive.read("ImageSets/Segmentation/default.txt").decode().splitlines()
        assert names == ["park", "north/0001", "Süd 3", "street 12"]
        for name in names:
            expected = np.where(labels_of(name.replace("/", "_")) == 255, 3, labels_of(name.replace("/", "_")))
            assert np.array_equal(pixels(archive.read(f"SegmentationClass/{name}.png")), expected)
            assert pixels(archive.read(f"SegmentationObject/{name}.png")).max() == 3
        assert not [info for info in archive.infolist() if info.date_time != (1980, 1, 1, 0, 0, 0)]
    labels = json.loads((workspace / "out/labels.json").read_text())
    assert [entry["name"] for entry in labels] == ["road", "car", "ignored"]


def test_ignored_pixels_may_stay_open_and_a_line_says_what_they_come_back_as(workspace: Path) -> None:
    done = export("cvat", "--ignored", "open")
    assert "ignored pixels are left open; background is what nothing covers; what is open comes back as background" in done.stderr
    with zipfile.ZipFile(workspace / "out/annotations.zip") as archive:
        assert b"ignored" not in archive.read("labelmap.txt")
        assert pixels(archive.read("SegmentationClass/park.png")).max() == 2


def test_tasks_of_label_studio_are_scored_by_the_table_of_suggest(workspace: Path) -> None:
    done = export("label-studio", "--url-prefix", "/data/local-files/?d=mine/images/")
    assert "2 images have scores, the best first" in done.stderr
    suggested = read_suggestions(workspace / "data/suggestions/1.tsv")[0]
    found = tasks(workspace)
    assert [task["data"]["image_id"] for task in found[:2]] == [each.image_id for each in suggested]
    assert [task["predictions"][0].get("score") for task in found] == [2.0, 1.0, None, None]
    assert found[0]["data"]["reason"] == "why not"
    last = found[-1]
    assert last["data"]["image"] == "/data/local-files/?d=mine/images/street%2012.png"
    assert last["predictions"][0]["model_version"].startswith("pseudo labels of round 1, selection ")
    for result in last["predictions"][0]["result"]:
        assert {result["type"], result["from_name"], result["to_name"]} == {"brushlabels", "label", "image"}
        [label] = result["value"]["brushlabels"]
        region = decode_brush(result["value"]["rle"], (result["original_height"], result["original_width"]))
        assert np.array_equal(region, labels_of("street 12") == {"road": 1, "car": 2, "ignored": 255}[label])
    interface = (workspace / "out/labeling.xml").read_text()
    assert all(f'<Label value="{name}"' in interface for name in ("background", "road", "car", "ignored"))


def test_only_suggested_or_listed_images(workspace: Path) -> None:
    assert export("label-studio", "--suggested", "--copy-images").exit_code == 0
    assert [task["data"]["image_id"] for task in tasks(workspace)] == ["park", "north_0001"]
    assert sorted(file.name for file in (workspace / "out/images").rglob("*.*")) == ["0001.jpg", "park.png"]
    (workspace / "ids.txt").write_text("Süd 3\n", encoding="utf-8")
    assert export("label-studio", "--list", "ids.txt").exit_code == 0
    assert [task["data"]["image_id"] for task in tasks(workspace)] == ["Süd 3"]


def test_a_table_of_another_selection_gives_no_scores(workspace: Path) -> None:
    table = workspace / "data/suggestions/1.tsv"
    write_suggestions(table, read_suggestions(table)[0], selection="0" * 64)
    done = export("label-studio")
    assert "1.tsv is of another selection: no scores" in done.stderr
    assert "score" not in tasks(workspace)[0]["predictions"][0]
    shutil.rmtree(workspace / "out")
    [line] = lines_of(export("label-studio", "--suggested"))
    assert "1.tsv - expected suggestions of this round's selection - found another's" in line


def predict(folder: Path) -> None:
    """Write what `predict` writes of the images without labels."""
    for name in ("north/0001", "park", "street 12"):
        target = folder / "seen/labels" / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_label_png(target, labels_of(name.replace("/", "_"), void=False), COLORS)
    entries = [{"value": value, "name": name, "color": [9, 9, value]} for value, name in enumerate(("background", "road", "car"))]
    (folder / "seen/legend.json").write_text(json.dumps(entries))


PREDICTED = ("export", "--predictions", "seen", "--images", "mine/images", "--out", "out", "--format", "label-studio")


def test_predictions_go_out_with_the_scores_of_a_round(workspace: Path) -> None:
    predict(workspace)
    assert run(*PREDICTED).exit_code == 0
    assert [task["data"]["image_id"] for task in tasks(workspace)] == ["north_0001", "park", "street 12"]
    done = run(*PREDICTED, "--round", "1", "--suggested")
    assert done.exit_code == 0, done.output
    assert "2 images, predictions seen" in done.stderr
    assert [task["predictions"][0]["score"] for task in tasks(workspace)] == [2.0, 1.0]


def remove_label_of_suggested(folder: Path) -> None:
    (folder / "seen/labels/park.png").unlink()


@pytest.mark.parametrize(
    ("damage", "options", "says"),
    [
        (lambda folder: (folder / "seen/unfinished.txt").write_text("x"), (), "seen - expected finished predictions - found"),
        (lambda folder: (folder / "seen/legend.json").unlink(), (), "found no legend.json - name its OUT"),
        (lambda folder: shutil.rmtree(folder / "seen/labels"), (), "found no labels - name its OUT"),
        (lambda folder: (folder / "seen/legend.json").write_text("[{}]"), (), "legend.json - 0.value - Field required"),
        (lambda folder: (folder / "seen/legend.json").write_text("{"), (), "legend.json - expected JSON - found"),
        (lambda folder: (folder / "mine/images/park.png").unlink(), (), "park.png - expected its image mine/images/park.*"),
        (remove_label_of_suggested, ("--round", "1", "--suggested"), "found park and 0 more without - predict them too"),
    ],
)
def test_wrong_predictions_are_one_line(
    damage: Callable[[Path], object], options: tuple[str, ...], says: str, workspace: Path
) -> None:
    predict(workspace)
    damage(workspace)
    [line] = lines_of(run(*PREDICTED, *options))
    assert says in line
    assert not (workspace / "out").exists()


PSEUDO = Path("data/rounds/1/pseudo_labels")


@pytest.mark.parametrize(
    ("damage", "options", "says"),
    [
        ((PSEUDO / "park.png").unlink, (), "park.png - expected the pseudo labels of every unlabeled image - 1 are"),
        (lambda: (PSEUDO / "park.png").write_bytes(b"x"), (), "park.png - expected an image file"),
        (lambda: shutil.copy(PSEUDO / "Süd 3.png", PSEUDO / "park.png"), (), "park.png - expected uint8 labels of size (13, 7)"),
        (lambda: write_label_png(PSEUDO / "park.png", np.full((13, 7), 7, np.uint8), COLORS), (), "expected train ids below 3"),
        (lambda: Path("data/prepared/unlabeled.tsv").unlink(), (), "unlabeled.tsv - expected a sample list"),
        (lambda: Path("data/rounds/1/selection.json").unlink(), (), "selection.json - expected a selection"),
        (lambda: Path("data/suggestions/1.tsv").unlink(), ("--suggested",), "1.tsv - expected suggestions - No such file"),
        (lambda: Path("ids.txt").write_text("lake\n"), ("--list", "ids.txt"), "entry 1 - expected an image of the data set"),
        (lambda: None, ("--list", "ids.txt"), "ids.txt - expected a text list of image ids"),
        (lambda: None, ("--list", "ids.txt", "--suggested"), "--suggested - expected one choice of images - found --list"),
        (lambda: None, ("--images", "mine"), "--images - expected --predictions beside it"),
        (lambda: None, ("--predictions", "mine"), "--predictions - expected --images beside it"),
        (lambda: None, ("--round", "9"), "params.yaml - rounds - expected one of"),
        (
            lambda: Path("out").write_text("mine"),
            (),
            "--out - expected a new folder, or one of an earlier export alone - found a file",
        ),
        (lambda: Path("out/mine").mkdir(parents=True), (), "found a folder without origin.json, out - choose another"),
    ],
)
@pytest.mark.parametrize("name", ["cvat", "label-studio"])
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    damage: Callable[[], object], options: tuple[str, ...], says: str, name: str, workspace: Path
) -> None:
    damage()
    before = sorted(workspace.glob("out/**/*"))
    [line] = lines_of(export(name, *options))
    assert says in line
    assert sorted(workspace.glob("out/**/*")) == before
    assert not list(workspace.glob(".*.partial"))


def test_whose_labels_must_be_said(workspace: Path) -> None:
    [line] = lines_of(run("export", "--format", "coco", "--out", "out"))
    assert line == "export - expected --round or --predictions - found neither - say whose labels"


@pytest.mark.parametrize("name", ["corrected.zip", "annotations.json"])
def test_an_export_that_somebody_has_put_something_into_is_not_replaced(name: str, workspace: Path) -> None:
    assert export("coco").exit_code == 0
    (workspace / "out" / name).write_text("hours of work")
    [line] = lines_of(export("coco"))
    assert f"found {name}, which is none" in line
    assert (workspace / "out" / name).read_text() == "hours of work"


def test_a_class_that_a_label_map_cannot_spell_is_one_line(workspace: Path) -> None:
    predict(workspace)
    text = (workspace / "seen/legend.json").read_text().replace("road", "road: wet")
    (workspace / "seen/legend.json").write_text(text)
    done = run(*PREDICTED[:-1], "cvat")
    assert lines_of(done) == ["--format cvat - expected class names without a colon - found 'road: wet' - choose another format"]
    assert run(*PREDICTED).exit_code == 0


def test_labels_have_colors_of_their_own_and_background_is_what_nothing_covers() -> None:
    twins = choose_labels(("a", "background", "b", "c"), ((0, 0, 0), (5, 5, 5), (9, 9, 9), (9, 9, 9)), None)
    assert twins.names == ("background", "a", "b", "c", "ignored")
    assert twins.colors[0] == (0, 0, 0)
    assert len(set(twins.colors)) == 5
    assert twins.colors[2] == (9, 9, 9)
    assert [int(place) for place in twins.places[[0, 1, 2, 3, 255]]] == [1, 0, 2, 3, 4]
    opened = choose_labels(WITHOUT, COLORS, None)
    assert opened.names == ("background", *WITHOUT)
    assert opened.places[255] == 0
    with pytest.raises(ValueError, match="expected no class named ignored"):
        choose_labels(("ignored",), ((1, 1, 1),), "label")
    many = [f"class {number}" for number in range(255)]
    with pytest.raises(ValueError, match="expected at most 254 labels - found 255"):
        choose_labels(many, [(1, 1, 1)] * 255, "open")


def test_names_keep_the_folders_that_ids_spell() -> None:
    assert tool_name(Path("/mine/images/north/0001.jpg"), "north_0001") == "north/0001.jpg"
    assert tool_name(Path("data/prepared/images/a.png"), "a") == "a.png"
    assert tool_name(Path("leftImg8bit/train/ulm/ulm_1_leftImg8bit.png"), "ulm_1") == "ulm_1.png"
