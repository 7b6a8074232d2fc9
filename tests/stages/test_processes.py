"""Stages that run networks give the same in several processes, and go on in as many as there are."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.files import digest
from tests.workspace import TINY, change_params, command_of, dvc, environment, make_workspace, run_stage

MANY = {**TINY, "data.streets.train_images": 30, "softmax_store.shard_mib": 0.06, "training.log_every": 1}
INFER, STUDENT = command_of("infer"), command_of("train_student")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = make_workspace(tmp_path_factory.mktemp("processes") / "clone", MANY)
    dvc(folder, "repro", "sample_labels@1")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def workspace(prepared: Path) -> Path:
    shutil.rmtree(prepared / "out", ignore_errors=True)
    change_params(prepared, {"runtime.processes": 2, "student.labeled_batch_size": 2})
    return prepared


def test_two_processes_write_the_store_of_one_and_what_is_killed_goes_on_in_one(workspace: Path) -> None:
    # For dvc, nothing has changed.
    assert "data/rounds/1/softmax.zarr" not in dvc(workspace, "status", "infer@1").stdout
    expected = digest(workspace / "data/rounds/1/softmax.zarr")
    begun = time.monotonic()
    done = run_stage(workspace, *INFER)
    duration = time.monotonic() - begun
    assert done.returncode == 0, done.stderr
    assert digest(workspace / "out/softmax.zarr") == expected
    assert not list((workspace / ".scratch").rglob("softmax.zarr"))
    shutil.rmtree(workspace / "out")
    process = subprocess.Popen(
        [sys.executable, "-m", f"stages.{INFER[0]}", *INFER[1:]],
        cwd=workspace, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    time.sleep(0.8 * duration)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    change_params(workspace, {"runtime.processes": 1})
    assert run_stage(workspace, *INFER).returncode == 0
    assert digest(workspace / "out/softmax.zarr") == expected


def losses(path: Path) -> list[tuple[float, float]]:
    rows = csv.DictReader(path.read_text().splitlines(), delimiter="\t")
    return [(float(row["loss_labeled"]), float(row["loss_unlabeled"])) for row in rows]


def test_two_processes_train_as_one(workspace: Path) -> None:
    change_params(workspace, {"runtime.processes": 1})
    assert run_stage(workspace, *STUDENT).returncode == 0
    expected = losses(workspace / "out/curve.tsv")
    shutil.rmtree(workspace / "out")
    change_params(workspace, {"runtime.processes": 2})
    done = run_stage(workspace, *STUDENT)
    assert done.returncode == 0, done.stderr
    assert len(expected) == MANY["student.steps"]
    for ours, theirs in zip(losses(workspace / "out/curve.tsv"), expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)
    assert (workspace / "out/model.safetensors").exists()


def test_a_fault_of_the_user_is_one_line_and_no_account_of_the_engine(workspace: Path) -> None:
    change_params(workspace, {"student.labeled_batch_size": 3})
    done = run_stage(workspace, *STUDENT)
    assert done.returncode == 1
    # Whichever process meets it says so; beside that there is only the progress.
    lines = {line for line in done.stderr.splitlines() if not line.startswith("stage: ")}
    assert lines == {
        "Error: params.yaml - batch size - expected a multiple of 2 processes - found 3 - change it or the number of processes"
    }
    assert not (workspace / "out").exists()
