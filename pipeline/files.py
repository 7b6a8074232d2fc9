"""Files that are whole or absent: atomic writes, content digests, JSON with errors a person can act on."""

import errno
import glob
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; move it there, on disk, only when the block ends without an error.

    Works for a file and for a directory; an existing `path` is replaced. A power cut leaves it whole or absent. Read-only links
    that DVC left at `path` are not written through, because the name is replaced and not the content. What killed processes of
    this machine left beside `path` is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    partial = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.partial")
    try:
        yield partial
        publish(partial, path)
    except OSError as error:
        if error.filename is None:  # a full disk, met while writing to an open file
            error.filename = str(path)
        raise
    finally:
        _remove(partial)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes of this machine left beside `path`: half-written ones, old folders that made room."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(socket.gethostname())}.*.partial"):
        if not _is_alive(leftover.name.split(".")[-2]):
            _remove(leftover)


def publish(source: Path, target: Path) -> None:
    """Move a finished file or directory to `target` in one step, in place of whatever is there, and on disk.

    From another file system or mount, where nothing moves in one step, it is copied beside `target` first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sync(source)
    try:
        _move(source, target)
    except OSError as error:
        # Two mounts of one file system look alike but for this error.
        if error.errno != errno.EXDEV:
            raise
        with atomic_path(target) as copy:
            _copy(source, copy)
        return
    _sync_one(target.parent)


def _move(source: Path, target: Path) -> None:
    if not target.exists() or (source.is_file() and target.is_file()):
        source.replace(target)
        return
    # A folder cannot be replaced in one step. Moved aside and not emptied first, the old one is whole or gone at any instant.
    aside = target.with_name(f".{target.name}.{socket.gethostname()}.old.{os.getpid()}.partial")
    target.rename(aside)
    try:
        source.replace(target)
    except OSError:
        aside.rename(target)
        raise
    _remove(aside)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    except shutil.Error as error:
        # Its text lists every file that failed; the first tells enough.
        failed, _, reason = error.args[0][0]
        raise OSError(errno.EIO, str(reason), str(failed)) from error


def _sync(path: Path) -> None:
    """Bring a file, or every file and folder below one, to the disk: else a power cut leaves names without content."""
    for folder, _, files in os.walk(path, topdown=False):
        for name in (*files, ""):
            _sync_one(Path(folder, name))
    if path.is_file():
        _sync_one(path)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    # In a container, a process gets the number of the one that was killed before it.
    return int(process) != os.getpid()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON is what it is; the caller checks it
    """Read a JSON file.

    Raises:
        ValueError: the file is missing, is no JSON, holds a key twice, or is nested beyond reason.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise ValueError(f"{path} - expected a JSON file - {error.strerror} - run the stage that writes it") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} - expected JSON - found {error} - correct it, or run the stage that writes it") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a mapping of JSON whose keys differ; json itself would let the last one win."""
    known = dict(pairs)
    if len(known) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} twice")
    return known


def digest(path: Path) -> str:
    """Return the sha256 of a file, or of the names and contents of every file below a directory."""
    if not path.is_dir():
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    total = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{digest(file)}\n".encode())
    return total.hexdigest()
