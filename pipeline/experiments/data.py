"""Which data an experiment ran on: the hashes that DVC keeps of the folders that `prepare` reads, beside those of today.

Parameters alone do not tell an experiment from another: a folder of images keeps its name while somebody labels more of them.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from dvc.dependency import Dependency
from dvc.repo import Repo

from pipeline.experiments.overrides import Tree

_LISTS = "data/lists"
_LIST_KEYS = ("labeled_list", "unlabeled_list", "val_list")


def data_folders(data: Tree) -> list[str]:
    """Return the folders that the data set of a section `data` of `params.yaml` is made of, as they are spelled there."""
    folders = [data["root"], *([data["source_root"]] if data["source"] else [])]
    listed = any(data[key] for key in _LIST_KEYS) or data["priors"] not in {"labeled", "source", "val"}
    return [*folders, *([_LISTS] if listed else [])]


def current_data(data: Tree) -> list[str]:
    """Return DVC's hash of each folder of `data_folders` as it is now; DVC hashes again only what has changed.

    Raises:
        ValueError: a folder is not there.
    """
    with Repo() as repo:
        return [_hash(repo, folder) for folder in data_folders(data)]


def recorded_data(data: Tree, locked: Mapping[str, str]) -> list[str]:
    """Return the hash of each folder when an experiment ran; "" of one that was not read.

    Args:
        data: the section of `params.yaml` as the experiment ran with it.
        locked: hashes of what its stage `prepare` read, by path, as `dvc.lock` has them.
    """
    by_place = {Path(path).absolute(): found for path, found in locked.items()}
    return [by_place.get(Path(folder).absolute(), "") for folder in data_folders(data)]


def data_key(hashes: list[str]) -> str:
    """Return eight characters that tell data from other data in the name of an experiment."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:8]


def _hash(repo: Repo, folder: str) -> str:
    if not Path(folder).exists():
        raise ValueError(f"{folder} - expected the data of the experiment - found none - correct the path")
    return str(Dependency(None, folder, repo=repo).get_hash().value)
