"""Faults of the machine: a stage ends with one line or does not mind, and run again without the fault it gives the same bytes."""

import ctypes
import errno
import os
import resource
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from typing import NoReturn

from tests.torture.child import at_changes, wait_for_all
from tests.torture.experiment import Bench, Stage, remove
from tests.torture.trial import Result, completed

_NEW_NAMESPACE = 0x00020000


def _refuse(number: int, place: int) -> Callable[[], object]:
    """Return what makes every change of a file fail, from one of them on; taking away goes on working."""

    def refuse(count: int, event: str, path: str) -> None:
        if count >= place and event not in {"os.remove", "os.rmdir"}:
            raise OSError(number, os.strerror(number), path)

    return lambda: at_changes(refuse)


def _limit(kind: int, value: int) -> Callable[[], object]:
    return lambda: resource.setrlimit(kind, (value, value))


def _little_memory(mebibytes: int) -> Callable[[], object]:
    def limit() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + mebibytes * 2**20, used + mebibytes * 2**20))

    return limit


def _no_thread(self: threading.Thread) -> NoReturn:
    raise RuntimeError("can't start new thread")


def _no_home() -> None:
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "USER", "LOGNAME"):
        os.environ.pop(name, None)


FAULTS: dict[str, Callable[[Stage, Random], Callable[[], object]]] = {
    "disk full from a change on": lambda stage, rng: _refuse(errno.ENOSPC, rng.randrange(stage.changes)),
    "disk fails from a change on": lambda stage, rng: _refuse(errno.EIO, rng.randrange(stage.changes)),
    "no permission from a change on": lambda stage, rng: _refuse(errno.EACCES, rng.randrange(stage.changes)),
    "largest file 4 kB": lambda *_: _limit(resource.RLIMIT_FSIZE, 4096),
    "largest file 100 kB": lambda *_: _limit(resource.RLIMIT_FSIZE, 100_000),
    "few descriptors": lambda _, rng: _limit(resource.RLIMIT_NOFILE, rng.choice((5, 8, 12, 16, 24))),
    "little memory": lambda _, rng: _little_memory(rng.choice((1, 4, 16, 64, 128))),
    "no thread": lambda *_: lambda: setattr(threading.Thread, "start", _no_thread),
    "no HOME and no TMPDIR": lambda *_: _no_home,
}
"""What is done in the process of the stage."""


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)


@contextmanager
def _mounted(path: Path, *words: str | Path) -> Iterator[None]:
    """Mount at a folder, in the worker's own namespace."""
    path.mkdir(parents=True, exist_ok=True)
    _mount(*words, path)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True)


@contextmanager
def _full_disk(bench: Bench, stage: Stage, rng: Random) -> Iterator[None]:
    """Lay the workspace on a disk with room for a part of what the stage writes; what came of it lies on the usual one then."""
    kept = bench.folder.with_name(f"{bench.folder.name}-kept")
    with _mounted(bench.folder, "-t", "tmpfs", "-o", "size=1g", "tmpfs"):
        bench.restore()
        needed = sum(_size(bench.folder / out) for out in stage.outs)
        bench.remove_outs(stage)
        _mount("-o", f"remount,size={_size(bench.folder) + int(rng.choice((0.0, 0.3, 0.7, 0.95)) * needed)}", bench.folder)
        yield
        shutil.copytree(bench.folder, kept)
    for name in ("data", ".scratch"):
        remove(bench.folder, [name])
        if (kept / name).exists():
            (kept / name).rename(bench.folder / name)
    shutil.rmtree(kept)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(4096 * -(-file.stat().st_size // 4096) for file in files if file.is_file())


@contextmanager
def _read_only(path: Path) -> Iterator[None]:
    path.mkdir(parents=True, exist_ok=True)
    with _mounted(path, "--bind", path):
        _mount("-o", "remount,bind,ro", path)
        yield


@contextmanager
def _small_shared_memory(bench: Bench) -> Iterator[None]:
    bench.changed({"runtime.loader_workers": 1})
    with _mounted(Path("/dev/shm"), "-t", "tmpfs", "-o", "size=4k", "tmpfs"):  # noqa: S108 - that is its name
        yield


def _place(bench: Bench, stage: Stage) -> Path:
    return (bench.folder / stage.outs[0]).parent


MOUNTS: dict[str, Callable[[Bench, Stage, Random], AbstractContextManager[None]]] = {
    "disk full": _full_disk,
    "place of the outs read-only": lambda bench, stage, _: _read_only(_place(bench, stage)),
    ".scratch read-only": lambda bench, *_: _read_only(bench.folder / ".scratch"),
    ".scratch on a full disk": lambda bench, *_: _mounted(bench.folder / ".scratch", "-t", "tmpfs", "-o", "size=4k", "tmpfs"),
    ".scratch on another disk": lambda bench, *_: _mounted(bench.folder / ".scratch", "-t", "tmpfs", "tmpfs"),
    "data/ a mount of the same disk": lambda bench, *_: _mounted(bench.folder / "data", "--bind", bench.folder / "data"),
    "shared memory of 4 kB": lambda bench, *_: _small_shared_memory(bench),
}
"""What is done to the disk; needs root, for a name space of mounts."""


def enter_namespace() -> None:
    """Give this process mounts of its own, if it may have them; they go with it."""
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).unshare(_NEW_NAMESPACE) == 0:
        _mount("--make-rprivate", "/")
        os.environ["TORTURE_MOUNTS"] = "1"


def plan(bench: Bench) -> list[tuple[str, str]]:
    """Return every fault with every stage; each stage comes first with another fault."""
    faults, stages = [*FAULTS, *MOUNTS], bench.experiment.stages
    return [
        (faults[(place + turn) % len(faults)], stage.name) for turn in range(len(faults)) for place, stage in enumerate(stages)
    ]


def fault(bench: Bench, number: int, rng: Random) -> Sequence[Result]:
    """Run a stage under a fault, then without it."""
    planned = plan(bench)
    name, stage_name = planned[number % len(planned)]
    stage = bench.experiment.stage(stage_name)
    bench.restore()
    bench.remove_outs(stage)
    if name in FAULTS:
        ended = bench.start(stage.run(FAULTS[name](stage, rng))).end()
    elif "TORTURE_MOUNTS" not in os.environ:
        return [Result(name, "needs root: not run", good=True)]
    else:
        with MOUNTS[name](bench, stage, rng):
            ended = bench.start(stage.run()).end()
    broken, outcome = bench.half_written(stage), ended.describe()
    detail = f"{stage.name}: {ended.text[-400:]}"
    if outcome == "done":
        outcome = "other bytes" if broken else "unaffected"
    elif broken:
        outcome = "half-written"
    first = Result(name, outcome, good=outcome in {"one line", "unaffected"}, detail=detail)
    wait_for_all(bench.folder, 5.0)
    shutil.copy(bench.experiment.folder / "params.yaml", bench.folder / "params.yaml")
    again = bench.start(stage.run()).end()
    if again.code != 0:
        return [first, Result(name, f"rerun: {again.describe()}", good=False, detail=f"{stage.name}: {again.text[-400:]}")]
    return [first, completed(bench, name, stage.name, "rerun: same bytes")]
