"""Put right what a kill of DVC, a power cut or a bad disk has torn, where DVC itself can neither start nor tell.

DVC writes its small files in place and trusts its cache without looking: a kill between two of its steps can stop every later
run, and a damaged object of its cache is restored as if it were whole.
"""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from pipeline.files import write_text
from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress
from pipeline.schema import read_yaml_text
from pipeline.workspace.holders import hold_workspace, remove_temporary

_LOCK, _PARAMS = "dvc.lock", "params.yaml"


def repair_workspace(folder: Path, *, workers: int, progress: Progress) -> list[str]:
    """Repair a folder of DVC, while none of its processes works there.

    Args:
        folder: of the project.
        workers: threads that hash the cache.
        progress: shows its objects.

    Returns:
        A line for each thing done; the last one says how many objects of the cache were looked at.

    Raises:
        ValueError: the folder is none of DVC's, or a process of DVC works there.
    """
    with hold_workspace(folder):
        cache = _cache(folder)
        lines = [*_restore(folder), *_unlock(folder), *_clear_runs(cache / "runs"), *remove_temporary(folder)]
        objects = sorted((cache / "files/md5").glob("[0-9a-f][0-9a-f]/*"))
        hashes = progress(map_ordered(_md5, objects, workers=workers), total=len(objects), unit="object")
        damaged = {path: found for path, found in zip(objects, hashes, strict=True) if _named(path) != found}
        lines += _remove_damaged(folder, damaged)
    return [*lines, f"{'' if lines else 'nothing to repair: '}{len(objects)} objects of DVC's cache looked at"]


def _restore(folder: Path) -> Iterator[str]:
    """Restore what DVC had emptied to write it anew; a file with content is restored only where DVC alone writes it."""
    if (folder / _PARAMS).exists() and not (folder / _PARAMS).read_bytes().strip():
        if (source := _from_git(folder, _PARAMS, lambda text: bool(text.strip()))) is None:
            yield f"{_PARAMS} is empty, and git has no other: write it anew"
        else:
            yield f"{_PARAMS} was empty: restored from {source}; what was edited since is lost"
    if (folder / _LOCK).exists() and not _is_lock((folder / _LOCK).read_text(encoding="utf-8", errors="replace")):
        if (source := _from_git(folder, _LOCK, _is_lock)) is None:
            (folder / _LOCK).unlink()
            source = "nowhere, and removed; DVC takes from its cache what it has run"
        yield f"{_LOCK} was empty or cut short: restored from {source}"


def _from_git(folder: Path, name: str, whole: Callable[[str], bool]) -> str | None:
    """Write the newest version that git has and that is whole; return which that was, None if there is none."""
    for revision, source in ((":", "git's index"), ("HEAD:", "the last commit")):
        command = ["git", "show", f"{revision}./{name}"]
        shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if shown.returncode == 0 and whole(shown.stdout):
            write_text(folder / name, shown.stdout)
            return source
    return None


def _is_lock(text: str) -> bool:
    try:
        tree = read_yaml_text(text, where=_LOCK)
    except ValueError:
        return False
    return isinstance(tree, dict) and "schema" in tree


def _unlock(folder: Path) -> Iterator[str]:
    """Remove DVC's list of who writes what, where it is torn or names runs that have ended: none is left."""
    path = folder / ".dvc/tmp/rwlock"
    if not path.exists():
        return
    try:
        names = any(json.loads(path.read_text(encoding="utf-8")).values())
    except (ValueError, AttributeError):
        names = True
    if names:
        path.unlink()
        yield f"removed {path.relative_to(folder)}: it was cut short, or named a run that has ended"


def _clear_runs(runs: Path) -> Iterator[str]:
    """Remove records of runs that were never finished: DVC stumbles over a folder without one."""
    torn = [path for path in runs.glob("*/*/*") if path.suffix == ".tmp" or path.stat().st_size == 0]
    for path in torn:
        path.unlink()
    empty = [path for path in sorted(runs.glob("*/*")) if path.is_dir() and not any(path.iterdir())]
    for path in empty:
        path.rmdir()
    if torn or empty:
        yield f"removed {len(torn)} torn records and {len(empty)} empty folders of the run cache"


def _remove_damaged(folder: Path, damaged: dict[Path, str]) -> Iterator[str]:
    """Remove objects of the cache that are not what their names say, and the outs that are the same, often by a hard link."""
    if not damaged:
        return
    contents = set(damaged.values())
    sizes = {path.stat().st_size for path in damaged}
    twins = [path for path in _outs(folder) if path.stat().st_size in sizes and _md5(path) in contents]
    for path in [*damaged, *twins]:
        path.unlink()
    yield f"removed {len(damaged)} damaged objects of DVC's cache"
    yield from (f"removed {path.relative_to(folder)}, which was damaged too: dvc repro makes it anew" for path in twins)


def _outs(folder: Path) -> Iterator[Path]:
    """Yield the files of all outs that `dvc.lock` names."""
    if not (folder / _LOCK).exists():
        return
    stages: dict[str, Any] = read_yaml_text((folder / _LOCK).read_text(encoding="utf-8"), where=_LOCK).get("stages") or {}
    for stage in stages.values():
        for out in stage.get("outs", []):
            path = folder / out["path"]
            yield from (file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())


def _cache(folder: Path) -> Path:
    """Return the folder of DVC's cache, as its configuration says."""
    config = ConfigParser()
    config.read([folder / ".dvc/config", folder / ".dvc/config.local"], encoding="utf-8")
    return folder / ".dvc" / Path(config.get("cache", "dir", fallback="cache"))


def _named(path: Path) -> str:
    """Return the hash that the name of an object of the cache says."""
    return path.parent.name + path.name.removesuffix(".dir")


def _md5(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
