import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pipeline.machine.scratch import Scratch, clean_scratch, open_scratch

ROOT = Path(__file__).parents[2]
WORKER = """
import os, sys, time
from pathlib import Path
from pipeline.machine.scratch import open_scratch
def say(text): print(text, flush=True)
with open_scratch(outs=[Path("out")], parameters={"a": 1}, inputs=[], fresh=False, on_wait=say) as scratch:
    lock = Path(".scratch/locks", f"infer@1-{scratch.folder.name}")
    say(f"{scratch.folder.name} {scratch.finished} {lock.read_text() == str(os.getpid())}")
    sys.stdin.readline()
    if sys.argv[1] == "finish":
        Path("out").write_text("done")
    elif sys.argv[1] == "fail":
        sys.exit(3)
    elif sys.argv[1] == "orphan" and os.fork() == 0:
        time.sleep(1)
        say("worker")
        os._exit(0)
    if sys.argv[1] == "orphan":
        os.kill(os.getpid(), 9)
"""

COMER = """
from pathlib import Path
from pipeline.machine.scratch import open_scratch
for _ in range(100):
    with open_scratch(outs=[], parameters={}, inputs=[], fresh=False, on_wait=lambda _: None) as scratch:
        Path("alone").touch(exist_ok=False)
        (scratch.folder / "shard").write_text("1")
        Path("alone").unlink()
"""


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "infer@1")
    return tmp_path


def scratch_of(
    parameters: Mapping[str, object] | None = None,
    inputs: Sequence[Path] = (),
    *,
    fresh: bool = False,
    outs: Sequence[Path] = (),
    waits: list[str] | None = None,
) -> AbstractContextManager[Scratch]:
    return open_scratch(
        outs=outs,
        parameters={"a": 1} if parameters is None else parameters,
        inputs=inputs,
        fresh=fresh,
        on_wait=(lambda _: None) if waits is None else waits.append,
    )


def folder_of(parameters: Mapping[str, object] | None = None, inputs: Sequence[Path] = ()) -> Path:
    with scratch_of(parameters, inputs) as scratch:
        return scratch.folder


def test_equal_work_has_one_folder_in_the_main_workspace(workspace: Path) -> None:
    assert folder_of() == folder_of()
    assert folder_of().is_relative_to(workspace / ".scratch" / "infer@1")
    assert folder_of({"b": 2, "a": 1}) == folder_of({"a": 1, "b": 2})


def test_other_parameters_or_another_stage_have_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [folder_of(parameters) for parameters in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, {"a": {"b": 1}})]
    monkeypatch.setenv("DVC_STAGE", "infer@2")
    folders.append(folder_of())
    assert len(set(folders)) == len(folders)


def test_other_content_of_an_input_has_another_folder_and_the_same_content_the_same_one(tmp_path: Path) -> None:
    file, folder = tmp_path / "model", tmp_path / "labels"
    folder.mkdir()
    file.write_text("1")
    (folder / "a.png").write_text("1")
    first = folder_of(inputs=[file, folder])
    os.utime(file, (0, 0))
    assert folder_of(inputs=[file, folder]) == first
    (folder / "a.png").write_text("2")
    second = folder_of(inputs=[file, folder])
    file.write_text("2")
    assert len({first, second, folder_of(inputs=[file, folder])}) == 3


def test_other_code_of_a_room_or_of_the_stage_itself_has_another_folder(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").write_text('"""Stages."""')
    (tmp_path / "stages" / "command.py").write_text('"""Command."""')
    stage = tmp_path / "stages" / "toy.py"
    stage.write_text(
        "import stages.command\nfrom pipeline.machine.scratch import open_scratch\n"
        "with open_scratch(outs=[], parameters={}, inputs=[], fresh=False, on_wait=print) as scratch:\n"
        "    print(scratch.folder)\n"
    )

    def run() -> str:
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "stages.toy"]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, env=environment).stdout

    first = run()
    assert run() == first
    (tmp_path / "stages" / "command.py").write_text('"""Another command."""')
    second = run()
    assert second != first
    stage.write_text(stage.read_text() + "# another batch order\n")
    assert run() != second


def test_partial_work_survives_an_error_and_is_removed_on_success(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch_of() as scratch:  # noqa: PT012 - the error comes after some work
        (scratch.folder / "shard").write_text("1")
        raise KeyboardInterrupt
    with scratch_of() as scratch:
        assert (scratch.folder / "shard").read_text() == "1"
        assert not scratch.finished
    assert not scratch.folder.exists()
    with scratch_of() as scratch:
        assert not (scratch.folder / "shard").exists()


def test_what_a_killed_run_left_beside_the_outs_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    out, host = tmp_path / "softmax.zarr", socket.gethostname()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".softmax.zarr.{host}.old.{dead.pid}.partial"
    written = tmp_path / f".softmax.zarr.{host}.{os.getppid()}.partial"
    for folder in (left, written):
        folder.mkdir()
        (folder / "chunk").touch()
    with scratch_of(outs=[out]):
        assert not left.exists()
        assert written.exists()


def test_other_partial_work_is_left_alone() -> None:
    with pytest.raises(RuntimeError), scratch_of({"a": 2}) as other:  # noqa: PT012 - the error comes after some work
        (other.folder / "shard").write_text("1")
        raise RuntimeError
    assert folder_of() != other.folder
    assert (other.folder / "shard").exists()


def test_fresh_drops_partial_work() -> None:
    with pytest.raises(RuntimeError), scratch_of() as scratch:  # noqa: PT012 - the error comes after some work
        (scratch.folder / "store").mkdir()
        (scratch.folder / "store" / "shard").write_text("1")
        (scratch.folder / "done.txt").write_text("0\n")
        raise RuntimeError
    with scratch_of(fresh=True) as scratch:
        assert list(scratch.folder.iterdir()) == []


def test_outs_from_before_do_not_count_as_finished(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with scratch_of(outs=[tmp_path / "out"]) as scratch:
        assert not scratch.finished


def start(how: str, folder: Path, program: str = WORKER) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, how]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def release(process: subprocess.Popen[str], how: str) -> None:
    if how == "kill":
        process.kill()
        return
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize(("how", "finished"), [("finish", True), ("leave", False), ("fail", False), ("kill", False)])
def test_a_second_process_waits_and_sees_whether_the_first_one_finished(tmp_path: Path, how: str, *, finished: bool) -> None:
    with start(how, tmp_path) as first:
        name, was_finished, holds = hear(first).split()
        assert (was_finished, holds) == ("False", "True")
        with start("leave", tmp_path) as second:
            assert hear(second).startswith(f"process {first.pid} of an earlier run")
            release(first, how)
            assert hear(second).split() == [name, str(finished), "True"]
            release(second, "leave")
    assert second.returncode == 0
    assert list((tmp_path / ".scratch" / "infer@1").iterdir()) == []


def test_a_worker_that_a_killed_process_left_still_holds_its_work(tmp_path: Path) -> None:
    with start("orphan", tmp_path) as first:
        name = hear(first).split()[0]
        with start("leave", tmp_path) as second:
            assert hear(second).startswith(f"process {first.pid} of an earlier run, or a worker that it left")
            release(first, "kill it by itself")
            first.wait()
            assert hear(first) == "worker"
            assert hear(second).split() == [name, "False", "True"]
            release(second, "leave")


def test_outs_of_other_work_are_not_taken_for_what_a_fresh_run_was_killed_at(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("of other parameters")
    with start("kill", tmp_path) as first:
        name = hear(first).split()[0]
        with start("leave", tmp_path) as second:
            assert hear(second).startswith(f"process {first.pid} of an earlier run")
            # As if killed between removing its folder and making it anew.
            (tmp_path / ".scratch" / "infer@1" / name).rmdir()
            first.kill()
            assert hear(second).split() == [name, "False", "True"]
            release(second, "leave")


def test_cleaning_leaves_what_a_process_holds_and_removes_the_rest(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), scratch_of({"a": 2}) as abandoned:  # noqa: PT012 - the error comes after some work
        (abandoned.folder / "shard").write_text("1")
        raise RuntimeError
    (tmp_path / ".scratch/lock/bin").mkdir(parents=True)
    with start("leave", tmp_path) as process:
        held = tmp_path / ".scratch" / "infer@1" / hear(process).split()[0]
        stays, *removed = clean_scratch(tmp_path)
        assert stays == f"{held} stays: process {process.pid} works on it"
        assert removed == [f"removed the partial work of {stage}" for stage in ("infer@1", "lock")]
        assert sorted(path.name for path in (tmp_path / ".scratch").iterdir()) == ["infer@1", "locks"]
        assert [*(tmp_path / ".scratch/infer@1").iterdir()] == [held]
        release(process, "leave")
    assert process.returncode == 0
    assert list(clean_scratch(tmp_path)) == []
    assert [path.name for path in (tmp_path / ".scratch").iterdir()] == ["locks"]


def test_two_waiting_processes_go_one_after_the_other(tmp_path: Path) -> None:
    with start("finish", tmp_path) as first:
        name = hear(first).split()[0]
        with start("leave", tmp_path) as second, start("leave", tmp_path) as third:
            assert hear(second).startswith(f"process {first.pid} ")
            assert hear(third).startswith(f"process {first.pid} ")
            release(first, "finish")
            release(second, "leave")
            release(third, "leave")
            for process in (second, third):
                lines = [hear(process), hear(process)]
                assert f"{name} True True" in lines
    assert first.returncode == second.returncode == third.returncode == 0


def test_processes_that_come_and_go_at_the_same_moment_do_not_disturb_each_other(tmp_path: Path) -> None:
    with start("", tmp_path, COMER) as first, start("", tmp_path, COMER) as second, start("", tmp_path, COMER) as third:
        pass
    assert [process.returncode for process in (first, second, third)] == [0, 0, 0]
