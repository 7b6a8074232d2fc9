"""A setting on somebody's own folder of images: more labels, another folder, a page that shows what was just run."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.layouts import save, scene, write_cvat, write_folder, write_zip
from tests.stages.test_settings_run import run
from tests.workspace import TINY, change_params, commit, dvc, make_workspace

SETTING = """
title: a network for the images of a folder
needs: {folder: images}
params:
  data: {name: folder, labeled_fraction: 1.0}
  rounds: {}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_workspace(tmp_path_factory.mktemp("own") / "clone", {**TINY, "data.labeled_fraction": None})
    (folder / "data/settings/own.yaml").write_text(SETTING)
    commit(folder)
    write_folder(folder.parent / "images")
    return folder


def rows(workspace: Path) -> list[str]:
    return [row["run"] for row in json.loads((workspace / "data/tables/own.json").read_text())["rows"]]


def test_more_labels_are_another_experiment_and_the_page_shows_both(workspace: Path) -> None:
    root = workspace.parent / "images"
    words = ("own", "--root", f"folder={root}", "--here")
    first = run(workspace, *words)
    assert first.returncode == 0, first.stderr
    assert rows(workspace) == ["own"]
    page = workspace / "data/report/index.html"
    assert "a network for the images of a folder" in page.read_text(), "the table of this very run stands on its page"

    again = run(workspace, *words)
    assert again.returncode == 0, again.stderr
    assert "own is there already" in again.stderr

    image, labels = scene(np.random.default_rng(7), 2, (32, 40))
    save(root / "images/late.png", image)
    save(root / "labels/late.png", labels)
    more = run(workspace, *words)
    assert more.returncode == 0, more.stderr
    assert "Running stage 'pretrain'" in more.stdout
    (name,) = set(dvc(workspace, "exp", "list", "--name-only").stdout.split()) - {"own"}
    assert name.startswith("own+data-")
    assert rows(workspace) == ["own", name]
    assert name in page.read_text()
    assert f"{name} is there already" in run(workspace, *words).stderr


def test_another_folder_starts_from_the_committed_parameters(workspace: Path) -> None:
    change_params(
        workspace, {"data.name": "folder", "data.root": "elsewhere", "data.unlabeled_count": 26, "inference.long_side": 99}
    )
    done = run(workspace, "own", "--root", f"folder={workspace.parent / 'images'}", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "as committed again: data.unlabeled_count, inference.long_side" in done.stderr
    assert "-S data.unlabeled_count=null" in done.stdout
    assert "-S inference.long_side=null" in done.stdout


def test_edits_made_for_the_same_folder_stay(workspace: Path) -> None:
    root = str(workspace.parent / "images")
    change_params(workspace, {"data.name": "folder", "data.root": root, "data.unlabeled_count": 2, "inference.long_side": 99})
    done = run(workspace, "own", "--root", f"folder={root}", "--dry-run")
    assert "as committed again" not in done.stderr
    assert "long_side" not in done.stdout


def test_the_archive_of_an_annotation_tool_is_trained_on_as_it_is(workspace: Path) -> None:
    write_cvat(workspace.parent / "export")
    archive = write_zip(workspace.parent / "task.zip", workspace.parent / "export")
    change_params(workspace, {"data.unlabeled_count": None, "inference.long_side": None})
    done = run(workspace, "own", "--root", f"folder={archive}", "--here")
    assert done.returncode == 0, done.stderr
    assert "5 labeled, 2 unlabeled, 1 validation images" in done.stderr
    assert (workspace / "data/prepared/unpacked/task.zip/labelmap.txt").is_file()
