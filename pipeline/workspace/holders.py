"""Which processes of DVC work in a folder, and how to keep them out while something is put right there."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

TEMPORARY = Path(".dvc/tmp/exps/standalone")
"""Where DVC puts the workspaces of `dvc exp run --temp`."""


def dvc_processes(folder: Path) -> list[str]:
    """Return the processes of DVC whose working folder is `folder` or lies below it: "process 12 (dvc repro)"."""
    root = folder.resolve()
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words, cwd = process.info["cmdline"] or [], process.info["cwd"]
        # `python /somewhere/dvc repro` or `python -m dvc repro`.
        place = next((place for place, word in enumerate(words[:4]) if Path(word).name == "dvc"), None)
        if place is not None and cwd and Path(cwd).is_relative_to(root):
            found.append(f"process {process.info['pid']} (dvc {' '.join(words[place + 1 :])[:60].strip()})")
    return found


@contextmanager
def hold_workspace(folder: Path) -> Iterator[None]:
    """Keep DVC out of a folder for the block.

    Raises:
        ValueError: the folder is none of DVC's, or a process of DVC works there.
    """
    if not (folder / ".dvc").is_dir():
        raise ValueError(f"{folder.resolve()} - expected a folder of DVC - found no .dvc in it - change to the project's folder")
    lock = folder / ".dvc/tmp/lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("a", encoding="utf-8") as file:
        try:
            # DVC's own lock. It is free while a stage runs, so the processes are looked at as well.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = ["a process that holds .dvc/tmp/lock"]
        else:
            found = dvc_processes(folder)
        if found:
            raise ValueError(
                f"{folder.resolve()} - expected no dvc at work here - found {', '.join(found)} - wait for it to end, or end it"
            )
        yield


def remove_temporary(folder: Path) -> Iterator[str]:
    """Remove what killed `dvc exp run --temp` left, unless a process of DVC works anywhere in `folder`; say so in a line."""
    left = sorted((folder / TEMPORARY).glob("tmp*"))
    if not left:
        return
    if found := dvc_processes(folder):
        yield f"{len(left)} temporary workspaces of experiments stay: {', '.join(found)} is at work"
        return
    for workspace in left:
        shutil.rmtree(workspace, ignore_errors=True)
    yield f"removed {len(left)} temporary workspaces of killed experiments"
