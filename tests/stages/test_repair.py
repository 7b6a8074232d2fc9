"""What kills of DVC, power cuts and bad disks leave is put right by one command, and nothing else is touched."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.files import digest
from pipeline.workspace.leftovers import remove_partial_outs
from tests.workspace import TINY, commit, dvc, make_workspace, run_stage

MODEL = "data/rounds/0/model.safetensors"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = make_workspace(tmp_path_factory.mktemp("repair") / "clone", {**TINY, "pretrain.steps": 2})
    dvc(folder, "repro", "pretrain")
    commit(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def repair(folder: Path) -> list[str]:
    done = run_stage(folder, "repair")
    assert done.returncode == 0, done.stderr
    return [
        line.removeprefix("repair: ") for line in done.stderr.splitlines() if not re.match(r"repair: \d+ of \d+ objects ", line)
    ]


def forget_a_run(folder: Path) -> None:
    """Leave what a kill of dvc leaves that has made the folder of a record and not yet the record."""
    record = next(
        path for path in (folder / ".dvc/cache/runs").rglob("*") if path.is_file() and "stages.pretrain" in path.read_text()
    )
    record.unlink()
    yaml = YAML()
    tree = yaml.load((folder / "dvc.lock").read_text())
    del tree["stages"]["pretrain"]
    with (folder / "dvc.lock").open("w") as handle:
        yaml.dump(tree, handle)
    (folder / MODEL).unlink()


def empty(name: str) -> Callable[[Path], None]:
    def tear(folder: Path) -> None:
        path = folder / name
        path.chmod(0o644)
        path.write_bytes(b"")

    return tear


@pytest.mark.parametrize(
    ("tear", "says"),
    [
        pytest.param(forget_a_run, "removed 0 torn records and 1 empty folders of the run cache", id="run cache"),
        pytest.param(empty("dvc.lock"), "dvc.lock was empty or cut short: restored from git's index", id="dvc.lock"),
        pytest.param(empty(".dvc/tmp/rwlock"), "removed .dvc/tmp/rwlock: it was cut short", id="rwlock"),
        pytest.param(empty("params.yaml"), "params.yaml was empty: restored from git's index", id="params.yaml"),
    ],
)
def test_what_stops_dvc_for_good_is_put_right(finished: Path, tear: Callable[[Path], None], says: str) -> None:
    expected = digest(finished / MODEL)
    tear(finished)
    assert dvc(finished, "repro", "pretrain", check=False).returncode != 0
    lines = repair(finished)
    assert len(lines) == 2
    assert says in lines[0]
    dvc(finished, "repro", "pretrain")
    assert digest(finished / MODEL) == expected
    assert [line.partition(":")[0] for line in repair(finished)] == ["nothing to repair"]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


def test_a_damaged_object_of_the_cache_and_the_out_that_it_is_are_made_anew(finished: Path) -> None:
    expected = digest(finished / MODEL)
    named = YAML(typ="safe").load((finished / "dvc.lock").read_text())["stages"]["pretrain"]["outs"]
    [md5] = [out["md5"] for out in named if out["path"] == MODEL]
    cached = finished / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    for path in {(path.stat().st_ino): path for path in (cached, finished / MODEL)}.values():
        damage(path)
    assert digest(finished / MODEL) == digest(cached) != expected
    lines = repair(finished)
    assert lines[:2] == [
        "removed 1 damaged objects of DVC's cache",
        f"removed {MODEL}, which was damaged too: dvc repro makes it anew",
    ]
    dvc(finished, "repro", "pretrain")
    assert digest(finished / MODEL) == digest(cached) == expected


def test_an_edited_file_is_never_replaced(finished: Path) -> None:
    before = (finished / "params.yaml").read_text()
    (finished / "params.yaml").write_text(before + "x: [\n")
    assert repair(finished)[0].startswith("nothing to repair: ")
    assert (finished / "params.yaml").read_text() == before + "x: [\n"
    (finished / "params.yaml").write_text(before)


def test_a_workspace_in_which_dvc_is_at_work_is_left_alone(finished: Path, tmp_path: Path) -> None:
    left = finished / ".dvc/tmp/exps/standalone/tmpabc"
    (left / "data").mkdir(parents=True)
    (left / "data").joinpath("model").write_text("")
    (tmp_path / "dvc").write_text("import time\nprint('at work', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, str(tmp_path / "dvc"), "exp", "run"]
    with subprocess.Popen(command, cwd=left, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        done = run_stage(finished, "repair")
        assert done.returncode == 1
        assert f"found process {process.pid} (dvc exp run) - wait for it to end" in done.stderr
        assert f"stay: process {process.pid} (dvc exp run) is at work" in run_stage(finished, "clean").stderr
        assert left.exists()
        process.kill()
    (finished / ".scratch/infer@1/abc").mkdir(parents=True)
    said = run_stage(finished, "clean").stderr
    assert said == "clean: removed the partial work of infer@1\nclean: removed 1 temporary workspaces of killed experiments\n"
    assert not left.exists()


def test_a_folder_without_dvc_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    for room in ("pipeline", "stages"):
        shutil.copytree(Path(__file__).parents[2] / room, tmp_path / "clone" / room, ignore=shutil.ignore_patterns("__pycache__"))
    done = run_stage(tmp_path / "clone", "repair")
    assert done.returncode == 1
    assert "expected a folder of DVC - found no .dvc in it" in done.stderr


def test_what_killed_stages_left_beside_their_outs_goes_and_what_living_ones_write_stays(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    rounds, host = tmp_path / "data/rounds/1", socket.gethostname()
    (rounds / f".softmax.zarr.{host}.old.{dead.pid}.partial/c").mkdir(parents=True)
    (rounds / f".curve.tsv.{host}.{dead.pid}.partial").touch()
    (rounds / f".model.safetensors.{host}.{os.getppid()}.partial").touch()
    (rounds / ".curve.tsv.other-host.1.partial").touch()
    (rounds / "curve.tsv").touch()
    said = list(remove_partial_outs(tmp_path))
    assert len(said) == 2
    assert {path.name for path in rounds.iterdir()} == {
        "curve.tsv", ".curve.tsv.other-host.1.partial", f".model.safetensors.{host}.{os.getppid()}.partial",
    }  # fmt: skip
