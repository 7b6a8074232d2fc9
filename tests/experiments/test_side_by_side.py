"""Experiments side by side, with small programs in the place of DVC."""

import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.experiments.side_by_side import Job, run_side_by_side

PROGRAM = """
import sys, time
from pathlib import Path
name, folder, ends = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
def note(what):
    with (folder / "log").open("a") as log:
        log.write(f"{what} {name}\\n")
note("begins")
time.sleep(0.15)
note("ready")
print("Running stage 'pretrain':", flush=True)
time.sleep(0.15)
note("taught")
print("Running stage 'infer@1':", flush=True)
time.sleep(0.15)
note("ends")
if ends and not (folder / "again").exists():
    (folder / "again").touch()
    print("ERROR: '.dvc/tmp/rwlock' is busy" if ends == 2 else "ERROR: a stage failed", flush=True)
    sys.exit(1)
"""


def job(folder: Path, name: str, teacher: str, ends: int = 0) -> Job:
    return Job(name, [sys.executable, "-c", PROGRAM, name, str(folder), str(ends)], teacher)


def events(folder: Path) -> list[tuple[str, str]]:
    return [tuple(line.split()) for line in (folder / "log").read_text().splitlines()]  # type: ignore[misc]


def test_one_starts_at_a_time_no_teacher_is_trained_twice_and_no_more_run_than_may(tmp_path: Path) -> None:
    jobs = [job(tmp_path, name, name[0]) for name in ("a1", "a2", "a3", "b1", "b2", "c1")]
    said: list[str] = []
    run_side_by_side(jobs, most=3, say=said.append)
    found = events(tmp_path)
    starting, running = set[str](), set[str]()
    untaught: dict[str, str] = {}
    for what, name in found:
        if what == "begins":
            assert not starting, "two at once write params.yaml"
            assert name[0] not in untaught, "its teacher is in training"
            starting.add(name)
            running.add(name)
            untaught[name[0]] = name
            assert len(running) <= 3
        elif what == "ready":
            starting.discard(name)
        elif what == "taught" and untaught.get(name[0]) == name:
            del untaught[name[0]]
        elif what == "ends":
            running.discard(name)
    assert sorted(name for what, name in found if what == "ends") == ["a1", "a2", "a3", "b1", "b2", "c1"]
    first_two = [name for what, name in found if what == "begins"][:2]
    assert first_two == ["a1", "b1"], "in order, but for those that wait for a teacher"
    assert "a1 - Running stage 'pretrain':" in said


def test_after_a_failure_nothing_begins_and_it_is_named(tmp_path: Path) -> None:
    jobs = [job(tmp_path, "a1", "a", ends=1), job(tmp_path, "b1", "b"), job(tmp_path, "c1", "c"), job(tmp_path, "d1", "d")]
    with pytest.raises(ValueError, match=r"^a1 - expected dvc to succeed"):
        run_side_by_side(jobs, most=2, say=lambda _: None)
    found = events(tmp_path)
    assert ("ends", "b1") in found, "what is under way ends"
    assert ("begins", "d1") not in found


def test_where_two_meet_in_the_books_of_dvc_one_tries_again(tmp_path: Path) -> None:
    run_side_by_side([job(tmp_path, "a1", "a", ends=2), job(tmp_path, "b1", "b")], most=2, say=lambda _: None)
    assert [name for what, name in events(tmp_path) if what == "ends"].count("a1") == 2


def test_an_interruption_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    join, calls = threading.Thread.join, 0

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            while not (tmp_path / "log").exists():
                time.sleep(0.01)
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side([job(tmp_path, "a1", "a"), job(tmp_path, "a2", "a")], most=2, say=lambda _: None)
    assert ("begins", "a2") not in events(tmp_path)
    assert ("ends", "a1") not in events(tmp_path)
