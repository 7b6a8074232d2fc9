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
    its stage running: then this waits for that process and, if it brought the work to its end, says so in `finished`.

    Args:
        outs: what the stage writes; only looked at after a wait.
        parameters: JSON-able values that the work depends on.
        inputs: files and folders whose content the work depends on.
        fresh: drop partial work and start over.
        on_wait: called with a line of text when another process holds the folder.
    """
    stage = re.sub(r"[^A-Za-z0-9@._-]", "_", os.environ.get("DVC_STAGE", Path(sys.argv[0]).stem))
    root = Path(os.environ.get("DVC_ROOT", "."))
    folder = root / ".scratch" / stage / _fingerprint(parameters, inputs)
    lock, waited = _hold(folder, on_wait)
    try:
        if fresh:
            for entry in folder.iterdir():
                if entry.name != "lock":
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        yield Scratch(folder=folder, finished=waited and all(out.exists() for out in outs))
        # Renamed first: another process may just now be opening the lock, and must not find itself in a vanishing folder.
        done = folder.with_name(f"{folder.name}.{os.getpid()}.done")
        folder.rename(done)
        shutil.rmtree(done, ignore_errors=True)
    finally:
        lock.close()


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


def _hold(folder: Path, on_wait: Callable[[str], None]) -> tuple[IO[str], bool]:
    waited = False
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("a+")
        except (FileNotFoundError, FileExistsError):
            continue  # the holder took the folder away in between
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            on_wait(f"process {lock.read().strip() or '?'} is still working on this from an earlier run: waiting for it to end")
            waited = True
            fcntl.flock(lock, fcntl.LOCK_EX)
        # The holder removes the folder when it is done: a lock on a removed file holds nothing.
        try:
            if (folder / "lock").stat().st_ino == os.fstat(lock.fileno()).st_ino:
                lock.truncate(0)
                lock.write(str(os.getpid()))
                lock.flush()
                return lock, waited
        except FileNotFoundError:
            pass
        lock.close()
