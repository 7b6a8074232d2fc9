"""Work that survives SIGKILL: a folder per stage and fingerprint, held by one process, removed when the outs are in place.

The fingerprint covers the parameters, the content of every input and the source of every module in use, so stale partial work is
never picked up. Other fingerprints are left alone: nobody's hours are deleted behind their back.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pipeline.files import digest, remove_leftovers

_LOCKS = "locks"

FORMAT = 1
"""Version of what stages leave in their scratch folders; part of every fingerprint."""


@dataclass(frozen=True)
class Scratch:
    """A work folder that this process holds.

    Attributes:
        folder: partial work of an interrupted run with the same fingerprint, or empty.
        finished: another process completed the same work while this one waited; the outs are in place.
    """

    folder: Path
    finished: bool


@contextmanager
def open_scratch(
    *, outs: Sequence[Path], parameters: Mapping[str, object], inputs: Sequence[Path], fresh: bool, on_wait: Callable[[str], None]
) -> Iterator[Scratch]:
    """Hold the scratch folder of this stage and fingerprint; remove it when the block ends without an error.

    The folder lies below `.scratch` of the main workspace (`DVC_ROOT`, also in temporary experiments). Where another process
    works on the same, a stage by hand for instance, this waits and, if that brought the work to its end, says so in `finished`.

    Args:
        outs: what the stage writes; only looked at after a wait. What a killed run left beside them is removed.
        parameters: JSON-able values that the work depends on.
        inputs: files and folders whose content the work depends on.
        fresh: drop partial work and start over.
        on_wait: called with a line of text when another process holds the folder.
    """
    stage = re.sub(r"[^A-Za-z0-9@._-]", "_", os.environ.get("DVC_STAGE", Path(sys.argv[0]).stem))
    root = Path(os.environ.get("DVC_ROOT", ".")) / ".scratch"
    folder = root / stage / _fingerprint(parameters, inputs)
    outs_key = hashlib.sha256("\0".join(str(out.absolute()) for out in outs).encode()).hexdigest()[:32]
    # Whoever writes these outs holds their lock, whatever its parameters: two never write the same outs at the same time.
    with _lock(root / _LOCKS / outs_key, on_wait) as outs_lock, _lock(root / _LOCKS / f"{stage}-{folder.name}", on_wait):
        # What the holder that this one has waited for has left: outs from before a wait could be of other work.
        completed = outs_lock.waited and outs_lock.left.endswith(f" {folder.name}")
        for out in outs:
            remove_leftovers(out)
        if fresh:
            _remove(folder)
        folder.mkdir(parents=True, exist_ok=True)
        yield Scratch(folder=folder, finished=completed and not fresh and all(out.exists() for out in outs))
        outs_lock.write(f"{os.getpid()} has finished {folder.name}")
        _remove(folder)


def clean_scratch(root: Path) -> Iterator[str]:
    """Remove partial work that no process holds; yield a line for each stage, and for each folder that is held.

    Args:
        root: of the workspace.
    """
    for stage in sorted((root / ".scratch").glob("*")):
        if stage.name == _LOCKS:  # stay: who removed one would let two processes hold it
            continue
        removed = 0
        for folder in sorted(stage.iterdir()) if stage.is_dir() else []:
            lock = root / ".scratch" / _LOCKS / f"{stage.name}-{folder.name}"
            held = lock.open("a+", encoding="utf-8") if lock.exists() else nullcontext()
            with held as file:
                if file is not None and not _try(file):
                    yield f"{folder} stays: {_holder(file)} works on it"
                    continue
                _remove(folder)
                removed += 1
        with suppress(OSError):  # somebody's work lies there
            stage.rmdir() if stage.is_dir() else stage.unlink()
        if removed:
            yield f"removed the partial work of {stage.name}"


def _remove(folder: Path) -> None:
    """Remove a folder that this process holds; at any instant its name has all of it or nothing."""
    doomed = folder.with_suffix(".removed")
    shutil.rmtree(doomed, ignore_errors=True)
    if folder.exists():
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


@dataclass(frozen=True)
class _Lock:
    """A lock that this process holds: whether it had to wait for it, and what the last holder left in its file."""

    file: TextIO
    waited: bool
    left: str

    def write(self, text: str) -> None:
        self.file.truncate(0)
        self.file.write(text)
        self.file.flush()


@contextmanager
def _lock(path: Path, on_wait: Callable[[str], None]) -> Iterator[_Lock]:
    """Hold a lock until the block ends, or this process and every worker that it has forked; its file stays.

    `fcntl` and not the library `filelock`, whose locks forked workers drop: those of a killed process would no longer count.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        waited = not _try(file)
        if waited:
            on_wait(f"{_holder(file)} of an earlier run, or a worker that it left, still works on this: waiting for it to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        lock = _Lock(file, waited, file.read())
        lock.write(str(os.getpid()))
        yield lock


def _try(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: TextIO) -> str:
    file.seek(0)
    return f"process {(file.read().split() or ['?'])[0]}"


def _fingerprint(parameters: Mapping[str, object], inputs: Sequence[Path]) -> str:
    modules = {
        name: module.__file__
        for name, module in sys.modules.items()
        # A stage run by `python -m` goes by the name of __main__.
        if name.partition(".")[0] in {"dars", "pipeline", "stages", "__main__"} and getattr(module, "__file__", None)
    }
    content = {
        "format": FORMAT,
        "parameters": dict(parameters),
        "inputs": [digest(path) for path in inputs],
        "code": {name: digest(Path(file)) for name, file in sorted(modules.items()) if file},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
