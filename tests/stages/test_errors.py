"""What a user can get wrong ends a stage with one line on stderr, exit code 1 and no half-written out."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.samples.catalog import Catalog
from pipeline.samples.sample_lists import write_samples
from pipeline.selection import Selection
from tests.workspace import TINY, change_params, command_of, dvc, environment, make_workspace, run_stage, said

SOLVE, SAMPLE, PRETRAIN, INFER, CALIBRATE, STUDENT = (
    command_of(stage) for stage in ("solve_thresholds", "sample_labels", "pretrain", "infer", "calibrate", "train_student")
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = make_workspace(tmp_path_factory.mktemp("errors") / "clone")
    dvc(folder, "repro", "sample_labels@1")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def broken(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage; artifacts of DVC are read-only hard links, so they are copied."""
    folder = tmp_path / "clone"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("cache"))
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    return folder


def fails(folder: Path, *command: str, says: str) -> None:
    done = run_stage(folder, *command)
    assert done.returncode == 1, done.stderr
    lines = said(done.stderr)
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("Error: ")
    assert says in lines[0]
    out = folder / "out"
    assert not out.exists() or list(out.iterdir()) == []


def test_a_wrong_parameter(broken: Path) -> None:
    change_params(broken, {"alpha": 3.0})
    fails(broken, *SOLVE, says="params.yaml - alpha")


def test_a_collapsed_teacher_is_told_in_words_and_refused_where_asked(broken: Path) -> None:
    done = run_stage(broken, *SOLVE)
    assert done.returncode == 0
    assert "solve_thresholds: warning: the teacher never predicts" in done.stderr
    (broken / "out/selection.json").unlink()
    change_params(broken, {"unpredicted_classes": "refuse"})
    fails(broken, *SOLVE, says="confidences.zarr - expected predictions of every class - found that the teacher never predicts")


def test_an_unknown_round(broken: Path) -> None:
    command = tuple("9" if part == "1" else part for part in SOLVE)
    fails(broken, *command, says="found 9")


def test_a_missing_shard_of_confidences(broken: Path) -> None:
    shard = next((broken / "data/rounds/1/confidences.zarr/confidence/c").rglob("0"))
    while shard.is_dir():
        shard = next(shard.iterdir())
    shard.unlink()
    fails(broken, *SAMPLE, says="confidences.zarr")


def test_a_missing_shard_of_counts(broken: Path) -> None:
    shutil.rmtree(broken / "data/rounds/1/confidences.zarr/confidence_counts/c/1")
    fails(broken, *SOLVE, says="confidence_counts")


def test_a_bit_flip_in_the_store(broken: Path) -> None:
    files = [path for path in (broken / "data/rounds/1/confidences.zarr/prediction/c").rglob("*") if path.is_file()]
    content = bytearray(files[0].read_bytes())
    content[len(content) // 3] ^= 0xFF
    files[0].write_bytes(bytes(content))
    fails(broken, *SAMPLE, says="confidences.zarr")


def test_a_store_that_is_none(broken: Path) -> None:
    shutil.rmtree(broken / "data/rounds/1/confidences.zarr")
    (broken / "data/rounds/1/confidences.zarr").mkdir()
    fails(broken, *SOLVE, says="expected a whole confidence store")


def test_counts_and_pixels_that_disagree(broken: Path) -> None:
    path = broken / "data/rounds/1/selection.json"
    chosen = Selection.read(path)
    label = chosen.draws.index(max(chosen.draws))

    def changed(values: tuple[Any, ...], value: object) -> tuple[Any, ...]:
        return (*values[:label], value, *values[label + 1 :])

    # Sealed as they are, other draws and other thresholds do not fit what the store counts.
    for change in ({"draws": changed(chosen.draws, 0)}, {"class_thresholds": changed(chosen.class_thresholds, None)}):
        chosen.model_copy(update=change).write(path)
        fails(broken, *SAMPLE, says="pixels by class to draw among")


def test_a_ratio_that_labels_no_pixel_is_no_silent_control(broken: Path) -> None:
    change_params(broken, {"alpha": 1e-9})
    fails(broken, *SOLVE, says="expected pixels for the method dars to label - found none of")


def test_a_damaged_softmax_store_is_not_calibrated(broken: Path) -> None:
    change_params(broken, {"calibration": "temperature", "calibration_fit.images": "val"})
    shutil.rmtree(broken / "data/rounds/1/softmax.zarr/softmax/c/1")
    fails(broken, *CALIBRATE, says="data/rounds/1/softmax.zarr - softmax - expected a whole softmax store")


def test_a_calibrator_without_pixels_to_fit_on(broken: Path) -> None:
    change_params(broken, {"calibration": "temperature"})
    fails(broken, *CALIBRATE, says="calibration temperature - expected labeled images to fit it on")


def test_a_damaged_teacher(broken: Path) -> None:
    model = broken / "data/rounds/0/model.safetensors"
    model.write_bytes(model.read_bytes()[:500])
    fails(broken, *INFER, says="model.safetensors")


def test_a_teacher_of_other_classes(broken: Path) -> None:
    path = broken / "data/prepared/labeled_catalog.json"
    catalog = Catalog.read(path)
    catalog.model_copy(update={"class_names": ("street", *catalog.class_names[1:])}).write(path)
    fails(broken, *STUDENT, says="expected the classes of")


def test_a_truncated_training_image(broken: Path) -> None:
    for image in (broken / "data/prepared/images").glob("train_*"):
        image.write_bytes(image.read_bytes()[:80])
    fails(broken, *PRETRAIN, says="png - expected the file that the stage `prepare` has seen")


def test_a_label_file_that_has_changed(broken: Path) -> None:
    for labels in (broken / "data/prepared/labels").glob("train_*"):
        Image.fromarray(np.full((32, 64), 77, np.uint8)).save(labels)
    fails(broken, *PRETRAIN, says="png - expected the file that the stage `prepare` has seen")


def test_an_empty_list(broken: Path) -> None:
    write_samples(broken / "data/prepared/labeled.tsv", [])
    fails(broken, *PRETRAIN, says="found an empty list")


def test_a_gpu_that_is_not_there(broken: Path) -> None:
    change_params(broken, {"runtime.device": "cuda:7"})
    fails(broken, *INFER, says="runtime.device")


def test_a_data_set_that_is_not_there(broken: Path) -> None:
    change_params(broken, {"data.name": "camvid", "data.root": "data/raw/camvid"})
    fails(broken, *command_of("prepare"), says="train - expected a folder of CamVid")


def test_a_full_disk(broken: Path) -> None:
    # A limit on the size of a file stands in for a full disk: both end a write with an error of the system.
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{INFER[0]}", *INFER[1:]],
        cwd=broken, env=environment(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert not (broken / "out/softmax.zarr").exists()


def test_an_argument_that_is_not_there(broken: Path) -> None:
    (broken / "data/rounds/0/model.safetensors").unlink()
    fails(broken, *INFER, says="--teacher - expected a file or folder to read - Path 'data/rounds/0/model.safetensors' does not")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="takes root's rights away")
def test_a_store_without_access_is_not_to_be_deleted(broken: Path) -> None:
    (broken / "data/rounds/1/confidences.zarr/confidence_counts").chmod(0)
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-m", f"stages.{SOLVE[0]}", *SOLVE[1:]]
    done = subprocess.run(words, cwd=broken, env=environment(), capture_output=True, text=True, check=False)
    (broken / "data/rounds/1/confidences.zarr/confidence_counts").chmod(0o755)
    assert done.returncode == 1
    [line] = said(done.stderr)
    assert "Permission denied - correct access" in line
    assert "delete" not in line


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["interrupt", "terminate"])
@pytest.mark.parametrize("after", [0.1, 0.5, 1.5])
def test_an_end_from_outside_is_no_traceback_also_while_packages_are_imported(
    broken: Path, sent: signal.Signals, code: int, after: float
) -> None:
    words = [sys.executable, "-m", f"stages.{PRETRAIN[0]}", *PRETRAIN[1:]]
    change_params(broken, {"pretrain.steps": 5000})
    with subprocess.Popen(words, cwd=broken, env=environment(), stderr=subprocess.PIPE, text=True) as stage:
        time.sleep(after)
        stage.send_signal(sent)
        assert stage.stderr is not None
        errors = stage.stderr.read()
    assert stage.returncode in {-sent, code}
    assert set(said(errors)) <= {"Aborted!"}
    assert not (broken / "out").exists()


def test_an_image_too_large_for_memory_is_one_line(broken: Path) -> None:
    change_params(broken, {"inference.long_side": 32768, "inference.sliding_window": False})
    words = [sys.executable, "-m", "stages.predict", "--model", "data/rounds/0/model.safetensors", "--protocol", "params"]
    done = subprocess.run(
        [*words, "--images", "data/prepared/images", "--out", "out"],
        cwd=broken, env=environment(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30)),
    )  # fmt: skip
    assert done.returncode == 1
    [line] = said(done.stderr)
    assert line.startswith("Error: memory - expected enough of it - ")
    assert "inference.long_side" in line


def test_one_unlabeled_image_is_enough(tmp_path: Path) -> None:
    changes = {**TINY, "data.streets.train_images": 4, "data.labeled_fraction": 0.7}
    folder = make_workspace(tmp_path / "clone", changes)
    dvc(folder, "repro", "evaluate@1")
    assert len((folder / "data/prepared/unlabeled.txt").read_text().split()) == 1
    assert len(list((folder / "data/rounds/1/pseudo_labels").iterdir())) == 1
