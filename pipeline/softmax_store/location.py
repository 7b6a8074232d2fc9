"""Where a store's arrays lie: in its folder, or at the URL that a file in its folder names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import fsspec
import zarr

from pipeline.files import read_json, write_json

Value = TypeVar("Value")

_LOCATION = "location.json"
_FORMAT = "dars-store-location"


def write_location(path: Path, url: str) -> None:
    """Make the folder `path` a store whose arrays lie at `url`, of any file system that fsspec knows."""
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / _LOCATION, {"format": _FORMAT, "url": url})


def read_location(path: Path) -> str | None:
    """Return the URL at which the arrays of the store `path` lie; None where they lie in the folder itself.

    Raises:
        ValueError: the file that names the URL is damaged.
    """
    if not (path / _LOCATION).exists():
        return None
    tree = read_json(path / _LOCATION)
    if not isinstance(tree, dict) or tree.get("format") != _FORMAT or not isinstance(tree.get("url"), str):
        raise ValueError(f"{path / _LOCATION} - expected the URL of a store - found {tree} - run the stage `infer`")
    url: str = tree["url"]
    return url


def open_group(path: Path, url: str | None, mode: Literal["r", "r+", "w"]) -> zarr.Group:
    """Open the group in the folder `path` or at `url`."""
    where: Any = path if url is None else url
    return zarr.open_group(where, mode=mode, zarr_format=None if mode == "r" else 3)


def fetch(url: str, name: str, target: Path) -> None:
    """Copy one array of the store at `url` to the local folder `target`."""

    def copy() -> None:
        system, root = fsspec.core.url_to_fs(url)
        system.get(f"{root}/{name}", str(target), recursive=True)

    reach(url, copy)


def reach(url: str, work: Callable[[], Value]) -> Value:
    """Do work at a URL; where it does not answer, or refuses, say so in one line.

    The file system behind the URL has tried again by itself, as often as it is configured to.
    """
    try:
        return work()
    except Exception as error:  # every file system raises its own
        found = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ValueError(
            f"{url} - expected a file system that answers - found {found} - check network and credentials, then run again"
            " (what is finished is kept)"
        ) from error
