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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.files import digest

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
    *,
    outs: Sequence[Path],
    parameters: Mapping[str, object],
    inputs: Sequence[Path],
    fresh: bool,
    on_wait: Callable[[str], None],
) -> Iterator[Scratch]:
    """Hold the scratch folder of this stage and fingerprint; remove it when the block ends without an error.

    The folder lies below `.scratch` of the main workspace (`DVC_ROOT`, also in temporary experiments). A killed `dvc` can leave
    its stage running: then this waits for that process and, if it brought the same work to its end, says so in `finished`.

    Args:
        outs: what the stage writes; only looked at after a wait.
        parameters: JSON-able values that the work depends on.
        inputs: files and folders whose content the work depends on.
        fresh: drop partial work and start over.
        on_wait: called with a line of text when another process holds the folder.
    """
    stage = re.sub(r"[^A-Za-z0-9@._-]", "_", os.environ.get("DVC_STAGE", Path(sys.argv[0]).stem))
    root = Path(os.environ.get("DVC_ROOT", ".")) / ".scratch"
    folder = root / stage / _fingerprint(parameters, inputs)
    outs_key = hashlib.sha256("\0".join(str(out.absolute()) for out in outs).encode()).hexdigest()[:32]
    witness = _open_lock(folder)
    # Whoever writes these outs holds their lock, whatever its parameters: an orphan never overwrites a newer run's outs.
    outs_lock = _hold(root / "outs" / outs_key, on_wait)
    lock = _hold(folder, on_wait)
    # A process that completes the work takes its folder away, lock and all; one that is killed leaves it. The witness stays open
    # until here, so that the number of its file cannot be given to the new one.
    completed = witness is not None and not os.path.sameopenfile(witness.fileno(), lock.fileno())
    if witness is not None:
        witness.close()
    try:
        if fresh:
            _empty(folder)
        yield Scratch(folder=folder, finished=completed and not fresh and all(out.exists() for out in outs))
        # Renamed first: another process may just now be opening the lock, and must not find itself in a vanishing folder.
        done = folder.with_name(f"{folder.name}.{os.getpid()}.done")
        shutil.rmtree(done, ignore_errors=True)
        folder.rename(done)
        shutil.rmtree(done, ignore_errors=True)
    finally:
        lock.close()
        outs_lock.close()


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name != "lock":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _fingerprint(parameters: Mapping[str, object], inputs: Sequence[Path]) -> str:
    modules = {
        name: module.__file__
        for name, module in sys.modules.items()
        # A stage run by `python -m` goes by the name of __main__.
        if name.partition(".")[0] in {"pipeline", "stages", "__main__"} and getattr(module, "__file__", None)
    }
    content = {
        "format": FORMAT,
        "parameters": dict(parameters),
        "inputs": [digest(path) for path in inputs],
        "code": {name: digest(Path(file)) for name, file in sorted(modules.items()) if file},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _open_lock(folder: Path) -> IO[str] | None:
    try:
        return (folder / "lock").open(encoding="utf-8")
    except FileNotFoundError:
        return None


def _hold(folder: Path, on_wait: Callable[[str], None]) -> IO[str]:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("a+", encoding="utf-8")
        except (FileNotFoundError, FileExistsError):
            continue  # the holder took the folder away in between
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "?"
            on_wait(f"process {holder} of an earlier run, or a worker that it left, still works on this: waiting for it to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # The holder removes the folder when it is done: a lock on a removed file holds nothing.
        try:
            if (folder / "lock").stat().st_ino == os.fstat(lock.fileno()).st_ino:
                lock.truncate(0)
                lock.write(str(os.getpid()))
                lock.flush()
                return lock
        except FileNotFoundError:
            pass
        lock.close()
