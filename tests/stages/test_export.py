"""`export` as a user types it, and its file as the documents use it: without torch."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from pipeline.files import digest
from pipeline.inference.predictor import Predictor
from pipeline.models.checkpoints import read_model
from pipeline.params import read_params
from stages.export import main
from tests.export.cases import CLASS_NAMES, COLORS, noise_images, write_checkpoint
from tests.workspace import ROOT, environment

HEIGHT, WIDTH = 20, 31


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parameters, a model and a folder of images."""
    write_checkpoint(tmp_path / "model.safetensors")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "images").mkdir()
    for index, image in enumerate(noise_images(2, 40, 30)):
        Image.fromarray(image).save(tmp_path / f"images/{index}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(*options: str) -> Result:
    size = ("--height", str(HEIGHT), "--width", str(WIDTH))
    return CliRunner().invoke(main, ["--model", "model.safetensors", "--out", "student.onnx", *size, *options])


def test_a_file_predicts_what_predict_does_by_one_view(workspace: Path) -> None:
    done = export()
    assert done.exit_code == 0, done.output
    lines = done.stderr.splitlines()
    assert lines[0].endswith(
        f"one view of {HEIGHT}x{WIDTH}, no flip; the model was tested with: own size, whole image, scale 1, with flip"
    )
    assert "student.onnx: as torch on 3 images: logits within " in lines[1]
    one_view = read_params(workspace / "params.yaml").inference.model_copy(update={"flip": False, "sliding_window": False})
    predictor = Predictor(read_model(workspace / "model.safetensors").network, one_view, torch.device("cpu"))
    session = onnxruntime.InferenceSession(workspace / "student.onnx", providers=["CPUExecutionProvider"])
    for image in noise_images(4, HEIGHT, WIDTH):
        prediction, confidence = session.run(None, {"images": image[None]})
        assert np.array_equal(prediction[0], predictor.prediction(image))
        np.testing.assert_allclose(confidence[0], predictor.probabilities(image).max(axis=0), atol=1e-5)
    about = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
    assert about["class_names"] == list(CLASS_NAMES)
    assert about["colors"] == [list(color) for color in COLORS]
    assert about["checkpoint_sha256"] == digest(workspace / "model.safetensors")


def test_another_process_writes_the_same_bytes(workspace: Path) -> None:
    assert export("--batch", "dynamic", "--logits").exit_code == 0
    words = [sys.executable, "-m", "stages.export", "--model", str(workspace / "model.safetensors"), "--batch", "dynamic"]
    done = subprocess.run(
        [*words, "--logits", "--height", str(HEIGHT), "--width", str(WIDTH), "--out", str(workspace / "again.onnx")],
        cwd=ROOT, env=environment() | {"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert (workspace / "again.onnx").read_bytes() == (workspace / "student.onnx").read_bytes()


def test_images_of_ones_own_take_the_place_of_drawn_ones_and_a_file_is_replaced(workspace: Path) -> None:
    (workspace / "student.onnx").write_text("old")
    done = export("--images", "images", "--batch", "3")
    assert done.exit_code == 0, done.output
    assert "as torch on 2 images" in done.stderr
    session = onnxruntime.InferenceSession(workspace / "student.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [3, HEIGHT, WIDTH, 3]


def test_the_lines_of_the_document_run_where_torch_cannot_be_imported(workspace: Path) -> None:
    assert export().exit_code == 0
    Image.fromarray(noise_images(1, 90, 70)[0]).save(workspace / "photo.jpg")
    [lines] = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/export.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len([line for line in lines.splitlines() if line.strip() and not line.startswith(("import", "from"))]) <= 10
    # A place in sys.modules that holds None is a module that is not there.
    absent = "import sys\nsys.modules.update(dict.fromkeys(['torch', 'torchvision', 'timm', 'onnx', 'onnxscript', 'pipeline']))\n"
    done = subprocess.run([sys.executable, "-c", absent + lines], cwd=workspace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert any(name in done.stdout for name in CLASS_NAMES)
    session = onnxruntime.InferenceSession(workspace / "student.onnx", providers=["CPUExecutionProvider"])
    with Image.open("photo.jpg") as photo:
        image = np.asarray(photo.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))
    prediction, _ = session.run(None, {"images": image[None]})
    with Image.open("labels.png") as painted:
        assert np.array_equal(np.asarray(painted.convert("RGB")), np.array(COLORS, np.uint8)[prediction[0]])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--model", "missing"), "--model - expected a file or folder to read - Path 'missing' does not exist"),
        (("--model", "images"), "images - expected a checkpoint"),
        (("--model", "params.yaml"), "params.yaml - expected a checkpoint"),
        (("--height", "0"), "--height - expected 1 to 16384 pixels - found 0"),
        (("--width", "-5"), "--width - expected 1 to 16384 pixels - found -5"),
        (("--batch", "many"), "--batch - expected dynamic or 1 to 1024 images - found many"),
        (("--out", "folder.onnx"), "--out - expected a file to write - found the folder folder.onnx"),
        (("--out", "student"), "--out - expected the name of a file that ends in .onnx - found student"),
        (("--images", "missing"), "--images - expected a folder of images"),
        (("--images", "folder.onnx"), "--images - expected a folder of images"),
        (("--images", "damaged"), "damaged/a.png - expected an image file"),
        (("--out", "params.yaml/student.onnx"), "params.yaml"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line_and_no_file(workspace: Path, options: tuple[str, ...], says: str) -> None:
    (workspace / "folder.onnx").mkdir()
    (workspace / "damaged").mkdir()
    (workspace / "damaged/a.png").write_text("no image")
    done = export(*options)
    assert done.exit_code == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.output
    assert errors[0].startswith(f"Error: {says}")
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert not list(workspace.rglob("*student*"))
