"""Files that are whole or absent: atomic writes, content digests, JSON with errors a person can act on."""

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

    Works for a file and for a directory; an existing `path` is replaced. Read-only hard links that DVC left at `path` are
    not written through, because the name is replaced and not the content. What killed processes of this machine left beside
    `path` is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname()
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(host)}.*.partial"):
        if not _is_alive(leftover.name.split(".")[-2]):
            _remove(leftover)
    partial = path.with_name(f".{path.name}.{host}.{os.getpid()}.partial")
    try:
        yield partial
        if partial.is_file():
            with partial.open("rb") as handle:
                os.fsync(handle.fileno())
        publish(partial, path)
    finally:
        _remove(partial)


def publish(source: Path, target: Path) -> None:
    """Move a finished file or directory to `target` in one step, in place of whatever is there.

    From another file system, where nothing moves in one step, it is copied beside `target` first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.stat().st_dev != target.parent.stat().st_dev:
        with atomic_path(target) as copy:
            shutil.copytree(source, copy) if source.is_dir() else shutil.copyfile(source, copy)
        return
    if not target.exists() or (source.is_file() and target.is_file()):
        source.replace(target)
        return
    # A folder cannot be replaced in one step. Moved aside and not emptied first, the old one is whole or gone at any instant.
    aside = target.with_name(f".{target.name}.{socket.gethostname()}.old.{os.getpid()}.partial")
    target.rename(aside)
    source.replace(target)
    _remove(aside)


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
