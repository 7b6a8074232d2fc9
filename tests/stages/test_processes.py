"""Stages that run networks give the same in several processes, and go on in as many as there are."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.curve import read_curve
from pipeline.files import digest
from tests.workspace import (
    TINY,
    all_end,
    change_params,
    command_of,
    dvc,
    environment,
    make_workspace,
    run_stage,
    runs_module,
    said,
)

MANY = {**TINY, "data.streets.train_images": 30, "softmax_store.shard_mib": 0.06, "training.log_every": 1}
INFER, STUDENT, SAMPLE = command_of("infer"), command_of("train_student"), command_of("sample_labels")


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


def test_torchrun_by_hand_writes_the_pseudo_labels_of_one_process(workspace: Path) -> None:
    change_params(workspace, {"runtime.processes": 1})
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    name, *arguments = SAMPLE
    subprocess.run([*launcher, f"stages.{name}", *arguments], cwd=workspace, env=environment(), check=True)
    assert digest(workspace / "out/pseudo_labels") == digest(workspace / "data/rounds/1/pseudo_labels")
    assert [path.name for path in (workspace / "out").iterdir()] == ["pseudo_labels"]


def losses(path: Path) -> list[tuple[float, float]]:
    return [(row.loss_labeled, row.loss_unlabeled) for row in read_curve(path)]


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
    lines = set(said(done.stderr))
    assert lines == {
        "Error: params.yaml - batch size - expected a multiple of 2 processes - found 3 - change it or the number of processes"
    }
    assert not (workspace / "out").exists()


def test_a_fault_in_one_process_ends_all_of_them_with_its_line(workspace: Path) -> None:
    # The first process's; it takes the folder away that the other writes to.
    shard = workspace / "data/rounds/1/confidences.zarr/prediction/c/0"
    file = next(path for path in shard.rglob("*") if path.is_file())
    whole = file.read_bytes()
    file.unlink()  # a link into the softmax store, or DVC's cache
    file.write_bytes(whole[: len(whole) // 2])
    try:
        done = run_stage(workspace, *SAMPLE)
    finally:
        file.unlink()
        file.write_bytes(whole)
    assert done.returncode == 1
    [line] = said(done.stderr)
    assert "expected a whole confidence store" in line
    assert not (workspace / "out/pseudo_labels").exists()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=["kill", "terminate", "interrupt"])
def test_a_process_that_is_ended_from_outside_is_one_line(workspace: Path, sent: signal.Signals) -> None:
    command = [sys.executable, "-m", f"stages.{STUDENT[0]}", *STUDENT[1:]]
    with subprocess.Popen(command, cwd=workspace, env=environment(), stderr=subprocess.PIPE, text=True) as stage:
        assert stage.stderr is not None
        lines = [stage.stderr.readline()]  # progress: both are in the middle of it
        children = subprocess.run(["pgrep", "-P", str(stage.pid), "-f", "stages"], capture_output=True, text=True, check=True)
        os.kill(stage.pid if sent == signal.SIGINT else int(children.stdout.split()[-1]), sent)
        lines += stage.stderr.readlines()
    assert stage.returncode == (130 if sent == signal.SIGINT else 1)
    messages = set(said("".join(lines)))
    if sent == signal.SIGINT:
        assert messages == {"Aborted!"}
    else:
        [line] = messages
        assert re.match(rf"Error: process [01] of 2 - expected it to end by itself - ended by {sent.name} - ", line)
    assert not (workspace / "out/model.safetensors").exists()


def test_no_worker_outlives_a_launcher_that_is_killed_while_they_import(workspace: Path) -> None:
    command = [sys.executable, "-m", f"stages.{INFER[0]}", *INFER[1:]]
    launcher = subprocess.Popen(command, cwd=workspace, env=environment(), stderr=subprocess.DEVNULL)
    while len(workers := [child for child in psutil.Process(launcher.pid).children() if runs_module(child, "stages.infer")]) < 2:
        assert launcher.poll() is None
        time.sleep(0.01)
    launcher.kill()
    launcher.wait()
    assert all_end(workers)


def test_processes_of_one_machine_listen_to_no_network(workspace: Path) -> None:
    command = [sys.executable, "-m", f"stages.{SAMPLE[0]}", *SAMPLE[1:]]
    places = set()
    with subprocess.Popen(command, cwd=workspace, env=environment(), stderr=subprocess.DEVNULL) as stage:
        own = psutil.Process(stage.pid)
        while stage.poll() is None:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                for process in [own, *own.children(recursive=True)]:
                    places |= {one.laddr.ip for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}
    assert stage.returncode == 0
    assert places == {"127.0.0.1"}
