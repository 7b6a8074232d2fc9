"""The lists of a next experiment: its labeled images and the corrected ones, and the validation images as they are."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.annotations.place import Lists
from pipeline.files import write_text
from pipeline.params import DataParams


def plan_lists(
    folder: Path, name: str, lists: Lists, corrected: Collection[str], params: DataParams, *, replace: bool
) -> dict[str, str]:
    """Return the lists, by the key of `data` that names each, and check that they can be written.

    The validation images are listed because a draw would take others once more images have labels. Unlabeled images are listed
    where the experiment lists them.

    Args:
        folder: of the user's own lists.
        name: of the list of labeled images, without ending; the others are NAME-val and NAME-unlabeled.
        lists: of the experiment.
        corrected: ids of images that have new labels.
        params: the `data` section of the experiment.
        replace: whether lists of these names that say something else may be replaced.

    Raises:
        ValueError: the name is none of a file, or such a list says something else.
    """
    if not re.fullmatch(r"\w[\w.+-]*", name) or name.endswith(".txt"):
        raise ValueError(
            f"--list - expected a name of letters, digits and dashes, without .txt - found {name!r} - choose another"
        )
    parts = {part: set(samples) for part, samples in lists.samples.items()}
    wanted = {"labeled_list": parts["labeled"] | parts["holdout"] | set(corrected), "val_list": parts["val"]}
    if params.unlabeled_list is not None:
        wanted["unlabeled_list"] = parts["unlabeled"] - set(corrected)
    planned = {key: "".join(f"{image_id}\n" for image_id in sorted(ids)) for key, ids in wanted.items()}
    for key, text in planned.items():
        path = folder / file_of(name, key)
        if path.exists() and path.read_bytes() != text.encode() and not replace:
            raise ValueError(f"{path} - expected no list of that name - found another - choose another name, or --replace it")
    return planned


def file_of(name: str, key: str) -> str:
    """Return the name of the file of a list: NAME.txt, NAME-val.txt, NAME-unlabeled.txt."""
    return f"{name}.txt" if key == "labeled_list" else f"{name}-{key.removesuffix('_list')}.txt"


def write_lists(folder: Path, name: str, planned: Mapping[str, str], *, before: int, into: Path) -> list[str]:
    """Write lists that `plan_lists` has planned.

    Args:
        folder: see `plan_lists`.
        name: likewise.
        planned: likewise.
        before: labeled images of the experiment.
        into: folder of the next experiment's data.

    Returns:
        Lines that say what to run next.
    """
    for key, text in planned.items():
        write_text(folder / file_of(name, key), text)
    options = " ".join(f"-S data.{key}={file_of(name, key)}" for key in planned)
    labeled = len(planned["labeled_list"].splitlines())
    return [
        f"{before} labeled images before, {labeled} in {folder / file_of(name, 'labeled_list')}; commit the lists, then run",
        f"dvc exp run -n {name} -S data.name=folder -S data.root={into.resolve()} {options}",
    ]
