"""`predict` as a user types it, from a model file alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click import Option
from click.testing import CliRunner, Result
from PIL import Image

from pipeline.inference.predictor import Predictor
from pipeline.models.build import build_network
from pipeline.models.checkpoints import read_model, write_model
from pipeline.params import read_params
from pipeline.samples.images import read_image
from stages.predict import main
from tests.models.sections import PROTOCOL, model_params
from tests.workspace import ROOT, change_params

NAMES = ("road", "car", "sky")
COLORS = ((128, 64, 128), (0, 0, 142), (70, 130, 180))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parameters, a model, and images of several kinds and sizes below `images`."""
    torch.manual_seed(0)
    section = model_params(head_width=8)
    write_model(
        tmp_path / "model.safetensors",
        build_network(section, 3),
        model_params=section,
        protocol=PROTOCOL,
        class_names=NAMES,
        colors=COLORS,
    )
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
    done = predict("--overlays")
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
    assert len([path for path in (workspace / "out").rglob("*") if path.is_file()]) == 6


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


def test_a_damaged_image_is_named_and_the_files_before_it_are_whole(workspace: Path) -> None:
    (workspace / "images/trip 1/b.JPG").write_bytes(b"no image")
    done = predict()
    assert done.exit_code == 1
    assert "Error: images/trip 1/b.JPG - expected an image file" in done.stderr
    assert pixels(workspace / "out/labels/a.png").shape == (30, 44)


def test_every_option_has_help() -> None:
    assert main.help
    assert all(isinstance(option, Option) and option.help for option in main.params)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--format", "voc"), "--format voc - expected a model of its 21 classes - found 3: road, car, sky"),
        (("--out", "images/out"), "images/out - expected a folder outside images"),
        (("--model", "params.yaml"), "params.yaml - expected a checkpoint"),
        (("--images", "images/a.png"), "images/a.png - expected a folder of images - found a file"),
        (("--images", "missing"), "missing - expected a folder of images - found none"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line(workspace: Path, options: tuple[str, ...], says: str) -> None:
    done = predict(*options)
    assert done.exit_code == 1
    assert f"Error: {says}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (workspace / "out").exists()
