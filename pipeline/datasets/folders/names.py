"""Names of images and of their label files: compared in one Unicode form, and told apart from the endings that tools add."""

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath


def one_form(text: str) -> str:
    """Return a name in Unicode's composed form: file systems and archives differ in how they spell an umlaut."""
    return unicodedata.normalize("NFC", text)


def key_of(file: Path, folder: Path) -> PurePosixPath:
    """Return the path below `folder` without its ending, in one Unicode form: what an image and its label file share."""
    return PurePosixPath(one_form(file.relative_to(folder).with_suffix("").as_posix()))


def id_of(key: PurePosixPath) -> str:
    """Return the image id of a key: folders are joined to the name by `_`."""
    return "_".join(key.parts)


def translate_keys(labels: Collection[PurePosixPath], images: Mapping[PurePosixPath, Path]) -> dict[PurePosixPath, PurePosixPath]:
    """Return the image key that each label key means, where all of them add the same to the names of images; else none.

    `park_mask`, `mask_park` and `park.jpg` can all mean `park`. What is added must hold letters and no digits: among numbered
    files, 10 is not the 0 with a 1 before it. Where any label file has the very name of an image, nothing is translated.
    """
    if not labels or any(key in images for key in labels):
        return {}
    # Of the images alone that lie beside: the key of park.jpg is park, its whole name the key of park.jpg.png.
    whole = {key.with_name(f"{key.name}{one_form(file.suffix)}"): key for key, file in images.items()}
    if all(key in whole for key in labels):
        return {key: whole[key] for key in labels}
    for before, after in _additions(min(labels), images):
        meant = {key: key.with_name(key.name.removeprefix(before).removesuffix(after) or "?") for key in labels}
        wears = all(key.name.startswith(before) and key.name.endswith(after) for key in labels)
        if wears and all(image in images for image in meant.values()):
            return meant
    return {}


def describe_addition(meant: Mapping[PurePosixPath, PurePosixPath]) -> str:
    """Say by an example what `translate_keys` made of names."""
    label, image = next(iter(meant.items()))
    return f"all label files are named like {label.name} for the image {image.name}, and are read so"


def _additions(label: PurePosixPath, images: Mapping[PurePosixPath, Path]) -> Iterator[tuple[str, str]]:
    """Yield what stands before and after the name of an image in that of a label file, the longest image name first."""
    beside = {key.name for key in images if key.parent == label.parent and key.name in label.name}
    for name in sorted(beside, key=lambda name: (-len(name), name)):
        before, _, after = label.name.partition(name)
        added = f"{before}{after}"
        if any(sign.isalpha() for sign in added) and not any(sign.isdigit() for sign in added):
            yield before, after
