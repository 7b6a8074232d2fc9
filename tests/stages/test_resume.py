"""Work that is killed at any instant goes on where it stopped and ends with the same bytes."""

import os
import random
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

from pipeline.files import digest
from tests.workspace import TINY, all_end, change_params, command_of, dvc, environment, make_workspace, run_stage, runs_module

# More of these for a long look; each costs a start of Python.
KILLS = int(os.environ.get("DARS_KILLS", "3"))
LONGER = {
    **TINY,
    "data.streets.train_images": 24,
    "softmax_store.shard_mib": 0.06,
    "pretrain.steps": 60,
    "student.steps": 60,
    "runtime.checkpoint_every": 4,
    "training.log_every": 4,
    "inference.scales": [0.5, 1.0, 2.0, 3.0],
}
PRETRAIN, INFER, STUDENT = (command_of(stage) for stage in ("pretrain", "infer", "train_student"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = make_workspace(tmp_path_factory.mktemp("resume") / "clone", LONGER)
    dvc(folder, "repro", "sample_labels@1")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(folder: Path, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"stages.{command[0]}", *command[1:]],
        cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def outs(folder: Path) -> dict[str, str]:
    return {path.name: digest(path) for path in sorted((folder / "out").iterdir())}


def clear(folder: Path) -> None:
    shutil.rmtree(folder / "out", ignore_errors=True)


RECIPE = {
    "strong_views.color_probability": 0.8,
    "strong_views.grayscale_probability": 0.2,
    "strong_views.blur_probability": 0.5,
    "strong_views.mix_probability": 0.7,
    "student.ema_decay": 0.95,
    "training.ohem_threshold": 0.7,
    "training.snapshot_every": 20,
}


@pytest.fixture
def recipe(prepared: Path) -> Iterator[None]:
    plain = (prepared / "params.yaml").read_text()
    change_params(prepared, RECIPE)
    yield
    (prepared / "params.yaml").write_text(plain)


@pytest.mark.parametrize("command", [PRETRAIN, INFER, STUDENT], ids=lambda command: command[0])
def test_a_killed_stage_ends_with_the_bytes_of_an_undisturbed_one(prepared: Path, command: tuple[str, ...]) -> None:
    kill_again_and_again(prepared, command)


@pytest.mark.usefixtures("recipe")
def test_a_killed_student_of_strong_views_ends_with_the_same_average_and_snapshots(prepared: Path) -> None:
    kill_again_and_again(prepared, STUDENT)
    assert len(list((prepared / "out/snapshots").iterdir())) == 3


def kill_again_and_again(prepared: Path, command: tuple[str, ...]) -> None:
    clear(prepared)
    begun = time.monotonic()
    assert run_stage(prepared, *command).returncode == 0
    duration = time.monotonic() - begun
    expected = outs(prepared)
    clear(prepared)
    instants = random.Random(command[0])
    killed = 0
    while killed < KILLS:
        process = start(prepared, command)
        time.sleep(instants.uniform(0.35, 1.0) * duration)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
            # Nothing half-written may look finished.
            assert all(
                digest(prepared / "out" / name) == expected[name] for name in expected if (prepared / "out" / name).exists()
            )
        else:
            # It was quicker than the kill: begin anew.
            clear(prepared)
    assert run_stage(prepared, *command).returncode == 0
    assert outs(prepared) == expected
    assert not list((prepared / ".scratch").rglob("resume.safetensors"))


@pytest.mark.parametrize("whole", [True, False], ids=["with its stage", "alone"])
def test_a_killed_repro_goes_on_where_it_stopped(prepared: Path, tmp_path: Path, whole: bool) -> None:
    folder = make_workspace(tmp_path / "clone", LONGER | {"pretrain.steps": 400})
    dvc(folder, "repro", "prepare")
    process = subprocess.Popen(
        ["dvc", "repro", "pretrain"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (points := list((folder / ".scratch").rglob("resume.safetensors"))):
        assert process.poll() is None
        time.sleep(0.05)
    stages = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL) if whole else process.kill()
    process.wait()
    assert all_end(stages), "an orphan goes on"
    live = points[0].with_name("curve.tsv")
    early = live.read_text().splitlines()
    done = dvc(folder, "repro", "pretrain")
    assert "of 400" in done.stderr
    assert points[0].parent.parent.name == "pretrain"
    assert not points[0].exists()
    first = next(line for line in done.stderr.splitlines() if " of 400" in line)
    assert int(first.split(": ")[1].split(" ")[0]) > 0, "it began anew"
    # What was killed could be watched, and so could what went on.
    assert len(early) > 1
    assert (folder / "data/rounds/0/curve.tsv").read_text().splitlines()[: len(early) - 1] == early[:-1]
    assert f"pretrain: the curve so far grows in {live}" in done.stderr
    assert re.search(r"400 of 400 steps \[.*\], loss \d\.\d{3}\n", done.stderr)


@pytest.mark.parametrize("alpha", [0.3, 0.2], ids=["another", "the first"])
def test_no_orphan_of_a_killed_repro_overwrites_what_the_next_one_wrote(prepared: Path, alpha: float) -> None:
    change_params(prepared, {"alpha": 0.2})
    dvc(prepared, "repro", "sample_labels@1")
    change_params(prepared, {"alpha": 0.25})
    process = subprocess.Popen(
        ["dvc", "repro", "sample_labels@1"], cwd=prepared, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (
        stages := [child for child in psutil.Process(process.pid).children() if runs_module(child, "stages.sample_labels")]
    ):
        assert process.poll() is None
        time.sleep(0.005)
    # Wherever in its start that is; it cannot get on while its dvc dies.
    stages[0].suspend()
    process.kill()
    process.wait()
    change_params(prepared, {"alpha": alpha})
    dvc(prepared, "repro", "sample_labels@1")
    with suppress(psutil.NoSuchProcess):
        stages[0].resume()
    assert all_end(stages)
    assert "up to date" in dvc(prepared, "status", "sample_labels@1").stdout


def test_a_changed_parameter_never_takes_up_old_partial_work(prepared: Path) -> None:
    clear(prepared)
    process = start(prepared, PRETRAIN)
    while not (points := list((prepared / ".scratch").rglob("resume.safetensors"))):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    change_params(prepared, {"training.momentum": 0.5})
    done = run_stage(prepared, *PRETRAIN)
    change_params(prepared, {"training.momentum": LONGER.get("training.momentum", 0.9)})
    assert done.returncode == 0
    assert "pretrain: 0 of 60" in done.stderr
    assert points[0].exists(), "nobody's partial work is deleted behind their back"
    shutil.rmtree(points[0].parent)


def test_fresh_starts_over(prepared: Path) -> None:
    clear(prepared)
    process = start(prepared, PRETRAIN)
    while not list((prepared / ".scratch").rglob("resume.safetensors")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = run_stage(prepared, *PRETRAIN, "--fresh")
    assert done.returncode == 0
    assert " 0 of 60" in done.stderr


def test_a_second_run_waits_for_an_orphan_and_takes_its_result(prepared: Path) -> None:
    clear(prepared)
    orphan = start(prepared, STUDENT)
    while not any(lock.read_text() == str(orphan.pid) for lock in (prepared / ".scratch").glob("locks/train_student-*")):
        assert orphan.poll() is None
        time.sleep(0.02)
    os.kill(orphan.pid, signal.SIGSTOP)
    words = [sys.executable, "-m", f"stages.{STUDENT[0]}", *STUDENT[1:]]
    with subprocess.Popen(words, cwd=prepared, env=environment(), stderr=subprocess.PIPE, text=True) as second:
        assert second.stderr is not None
        heard = second.stderr.readline()
        os.kill(orphan.pid, signal.SIGCONT)
        rest = second.stderr.read()
    assert f"process {orphan.pid} of an earlier run" in heard
    assert "step" not in rest, "it trained again"
    assert orphan.wait() == second.returncode == 0
    assert {"model.safetensors", "curve.tsv", "snapshots"} == set(outs(prepared))
