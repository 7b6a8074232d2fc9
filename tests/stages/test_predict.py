"""`predict` as a user types it, from a model file alone."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from pipeline.inference.predictor import Predictor
from pipeline.models.checkpoints import read_model
from pipeline.params import read_params
from pipeline.predictions.jobs import Job
from pipeline.samples.images import read_image
from stages.predict import main
from tests.models.sections import PROTOCOL, write_small_model
from tests.workspace import ROOT, change_params


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parameters, a model, and images of several kinds and sizes below `images`."""
    write_small_model(tmp_path / "model.safetensors")
    rng = np.random.default_rng(0)
    (tmp_path / "images/trip 1").mkdir(parents=True)
    Image.fromarray(rng.integers(0, 256, (30, 44, 3)).astype(np.uint8)).save(tmp_path / "images/a.png")
    Image.fromarray(rng.integers(0, 256, (17, 50, 3)).astype(np.uint8)).save(tmp_path / "images/trip 1/b.JPG", format="JPEG")
    Image.fromarray(rng.integers(0, 256, (24, 24)).astype(np.uint8)).save(tmp_path / "images/trip 1/gray.bmp")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    change_params(tmp_path, {"inference.flip": True, "runtime.workers": 1})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def predict(*options: str) -> Result:
    return CliRunner().invoke(main, ["--model", "model.safetensors", "--images", "images", "--out", "out", *options])


def test_every_image_below_the_folder_gets_the_prediction_of_the_protocol(workspace: Path) -> None:
    done = predict("--overlays", "--confidence")
    assert done.exit_code == 0, done.output
    params = read_params(workspace / "params.yaml")
    checkpoint = read_model(workspace / "model.safetensors")
    assert checkpoint.protocol == PROTOCOL
    tested = params.inference.model_copy(update=dict(PROTOCOL))
    predictor = Predictor(checkpoint.network, tested, torch.device("cpu"))
    for image, labels in (("a.png", "a.png"), ("trip 1/b.JPG", "trip 1/b.png"), ("trip 1/gray.bmp", "trip 1/gray.png")):
        expected = predictor.prediction(read_image(workspace / "images" / image))
        assert np.array_equal(pixels(workspace / "out/labels" / labels), expected)
        assert pixels(workspace / "out/overlays" / labels).shape[:2] == expected.shape
        probabilities = predictor.probabilities(read_image(workspace / "images" / image))
        assert np.array_equal(pixels(workspace / "out/confidence" / labels), np.rint(255 * probabilities.max(axis=0)))
    legend = json.loads((workspace / "out/legend.json").read_text())
    assert legend[2] == {"value": 2, "name": "sky", "color": [70, 130, 180]}
    assert len([path for path in (workspace / "out").rglob("*") if path.is_file()]) == 9 + 2


def test_one_image_is_predicted_alone(workspace: Path) -> None:
    assert predict("--images", "images/trip 1/gray.bmp").exit_code == 0
    assert [path.name for path in (workspace / "out/labels").rglob("*")] == ["gray.png"]


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def test_a_run_that_was_killed_goes_on_and_one_that_is_another_begins_anew(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Job.write

    def die_at_gray(job: Job, *arguments: Any) -> None:
        if job.image.name == "gray.bmp":
            raise KeyboardInterrupt
        write(job, *arguments)

    monkeypatch.setattr(Job, "write", die_at_gray)
    assert predict().exit_code == 130
    monkeypatch.undo()
    monkeypatch.chdir(workspace)
    before = times(workspace / "out/labels")
    assert set(before) == {"a.png", "b.png"}
    os.utime(workspace / "images/trip 1/b.JPG", ns=(2**62, 2**62))  # changed since
    done = predict()
    assert "3 predictions in out, 1 of them from a run that did not end" in done.stderr
    after = times(workspace / "out/labels")
    assert after["a.png"] == before["a.png"]
    assert after["b.png"] > before["b.png"]
    assert not (workspace / "out/unfinished.txt").exists()
    whole = {path: path.read_bytes() for path in (workspace / "out/labels").rglob("*.png")}
    assert predict("--out", "fresh").exit_code == 0
    assert [path.read_bytes() for path in sorted((workspace / "fresh/labels").rglob("*.png"))] == [
        whole[path] for path in sorted(whole)
    ]
    assert times(workspace / "out/labels") == after
    assert predict().exit_code == 0
    assert times(workspace / "out/labels")["a.png"] > after["a.png"], "a finished folder is predicted anew"


def test_another_model_does_not_go_on_with_the_predictions_of_the_first(workspace: Path) -> None:
    (workspace / "images/trip 1/gray.bmp").write_bytes(b"no image")
    assert predict().exit_code == 1
    before = times(workspace / "out/labels")
    assert predict("--confidence").exit_code == 1
    assert times(workspace / "out/labels")["a.png"] > before["a.png"]


def test_todays_parameters_change_no_prediction_unless_they_are_asked_for(workspace: Path) -> None:
    assert predict().exit_code == 0
    measured = (workspace / "out/labels/a.png").read_bytes()
    change_params(workspace, {"inference.long_side": 20, "inference.scales": [0.5, 2.0]})
    again = predict()
    assert "protocol of the model: own size, whole image, scale 1, with flip; that of `inference` of params.yaml" in again.stderr
    assert (workspace / "out/labels/a.png").read_bytes() == measured
    asked = predict("--protocol", "params")
    assert "protocol of `inference` of params.yaml: long side 20, whole image, scale 0.5, 2, with flip; that of the model" in (
        asked.stderr
    )
    assert (workspace / "out/labels/a.png").read_bytes() != measured


def test_a_second_run_replaces_its_files_and_leaves_others(workspace: Path) -> None:
    assert predict().exit_code == 0
    first = (workspace / "out/labels/a.png").read_bytes()
    (workspace / "out/labels/a.png").write_bytes(b"old")
    (workspace / "out/notes.txt").write_text("mine")
    assert predict().exit_code == 0
    assert (workspace / "out/labels/a.png").read_bytes() == first
    assert (workspace / "out/notes.txt").read_text() == "mine"


def test_damaged_images_are_named_and_all_others_are_predicted(workspace: Path) -> None:
    (workspace / "images/trip 1/b.JPG").write_bytes(b"no image")
    (workspace / "images/z.png").write_bytes(b"")
    done = predict()
    assert done.exit_code == 1
    assert "Error: images/trip 1/b.JPG - expected an image file" in done.stderr
    assert done.stderr.endswith(" (likewise images/z.png); 2 of 4 images were predicted\n")
    assert set(times(workspace / "out/labels")) == {"a.png", "gray.png"}
    (workspace / "images/trip 1/b.JPG").unlink()
    (workspace / "images/z.png").unlink()
    assert "2 of them from a run that did not end" in predict().stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--format", "voc"), "--format voc - expected a model of its 21 classes - found 3: road, car, sky"),
        (("--out", "images/out"), "images/out - expected a folder outside images"),
        (("--model", "params.yaml"), "params.yaml - expected a checkpoint"),
        (("--images", "params.yaml"), "params.yaml - expected a folder of images, or one, "),
        (("--images", "missing"), "missing - expected a folder of images - found none"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line(workspace: Path, options: tuple[str, ...], says: str) -> None:
    done = predict(*options)
    assert done.exit_code == 1
    assert f"Error: {says}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (workspace / "out").exists()
