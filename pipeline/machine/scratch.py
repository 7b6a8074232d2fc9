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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

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
    *, outs: Sequence[Path], parameters: Mapping[str, object], inputs: Sequence[Path], fresh: bool, on_wait: Callable[[str], None]
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
    # Not `exist_ok`, which looks again: the holder may take the folder away in between.
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
    # Whoever writes these outs holds their lock, whatever its parameters: an orphan never overwrites a newer run's outs.
    with _lock(root / "locks" / outs_key, on_wait), _lock(root / "locks" / f"{stage}-{folder.name}", on_wait):
        # The folder was there before the wait: who completes the work takes it away, who is killed leaves it.
        completed = not folder.exists()
        if fresh:
            _remove(folder)
        folder.mkdir(exist_ok=True)
        yield Scratch(folder=folder, finished=completed and not fresh and all(out.exists() for out in outs))
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder that this process holds; at any instant its name has all of it or nothing."""
    doomed = folder.with_suffix(".removed")
    shutil.rmtree(doomed, ignore_errors=True)
    if folder.exists():
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


@contextmanager
def _lock(path: Path, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock until the block ends, or this process and every worker that it has forked; its file stays.

    `fcntl` and not the library `filelock`, whose locks forked workers drop: those of a killed process would no longer count.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "?"
            on_wait(f"process {holder} of an earlier run, or a worker that it left, still works on this: waiting for it to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


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
