"""Where a store's arrays lie: in its folder, or at the URL that a file in its folder names."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import fsspec
import zarr

from pipeline.machine.shortage import describe_shortage
from pipeline.schema import Artifact

_LOCATION = "location.json"
_SEAL = "metadata_sha256"


class Location(Artifact):
    """`location.json`, which makes a folder a store whose arrays lie elsewhere."""

    described_as = "the URL of a store"
    written_by = "infer"

    format: Literal["dars-store-location"] = "dars-store-location"
    url: str
    """Of any file system that fsspec knows."""


def write_location(path: Path, url: str) -> None:
    """Make the folder `path` a store whose arrays lie at `url`."""
    path.mkdir(parents=True, exist_ok=True)
    Location(url=url).write(path / _LOCATION)


def read_location(path: Path) -> str | None:
    """Return the URL at which the arrays of the store `path` lie; None where they lie in the folder itself.

    Raises:
        ValueError: the file that names the URL is damaged.
    """
    return Location.read(path / _LOCATION).url if (path / _LOCATION).exists() else None


def open_group(path: Path, url: str | None, mode: Literal["r", "r+", "w"]) -> zarr.Group:
    """Open the group in the folder `path` or at `url`."""
    where: Any = path if url is None else url
    return zarr.open_group(where, mode=mode, zarr_format=None if mode == "r" else 3)


def seal_group(group: zarr.Group, path: Path, url: str | None, arrays: Sequence[str]) -> None:
    """Write into a group's attributes the sha256 of all its metadata; chunks have checksums of their own."""
    group.attrs[_SEAL] = _metadata_digest(group, path, url, arrays)


def is_sealed(group: zarr.Group, path: Path, url: str | None, arrays: Sequence[str]) -> bool:
    """Tell whether attributes and the metadata of `arrays` are what `seal_group` saw."""
    return bool(group.attrs.get(_SEAL) == _metadata_digest(group, path, url, arrays))


def _metadata_digest(group: zarr.Group, path: Path, url: str | None, arrays: Sequence[str]) -> str:
    attributes = {name: value for name, value in group.attrs.items() if name != _SEAL}
    total = hashlib.sha256(json.dumps(attributes, sort_keys=True).encode())
    system, root = (None, str(path)) if url is None else fsspec.core.url_to_fs(url)
    for name in arrays:
        file = f"{root}/{name}/zarr.json"
        total.update(Path(file).read_bytes() if system is None else system.cat_file(file))
    return total.hexdigest()


def fetch(url: str, name: str, target: Path) -> None:
    """Copy one array of the store at `url` to the local folder `target`."""
    with remote_errors(url):
        system, root = fsspec.core.url_to_fs(url)
        system.get(f"{root}/{name}", str(target), recursive=True)


@contextmanager
def remote_errors(url: str | None) -> Iterator[None]:
    """Say in one line where a URL does not answer, or refuses; without a URL, errors stay as they are.

    The file system behind the URL has tried again by itself, as often as it is configured to.

    Raises:
        ValueError: anything went wrong at the URL.
    """
    try:
        yield
    except Exception as error:  # every file system raises its own
        if url is None or describe_shortage(error):
            raise
        found = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ValueError(
            f"{url} - expected a file system that answers - found {found} - check network and credentials, then run again"
            " (what is finished is kept)"
        ) from error
