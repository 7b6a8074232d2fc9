"""What finders share: folders that must be there, images and label files that belong together."""

from collections.abc import Collection, Iterable
from pathlib import Path

from pipeline.datasets.data_set import Pair
from pipeline.samples.sample_lists import check_image_id

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
"""In lower case: what Pillow reads and people have."""


def expect_folder(folder: Path, data_set: str, remedy: str) -> Path:
    """Return `folder`.

    Raises:
        ValueError: there is no such folder; `remedy` says what to do.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} - expected a folder of {data_set} - found none - {remedy}")
    return folder


def expect_file(file: Path, data_set: str, remedy: str) -> Path:
    """Return `file`, or raise likewise."""
    if not file.is_file():
        raise ValueError(f"{file} - expected a file of {data_set} - found none - {remedy}")
    return file


_OF_THE_SYSTEM = frozenset({"thumbs.db", "desktop.ini"})
_MOST_NAMES = 5
"""In one line."""


def find_images(folder: Path) -> list[Path]:
    """Return all image files below `folder`, sorted; what lies under a name with a leading dot is left out."""
    return [file for file in _visible(folder) if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]


def passed_over(folder: Path, known: Collection[str] = ()) -> list[str]:
    """Say in one line what `find_images` leaves out below `folder`, or in none.

    What the system or a dot hides needs no word, nor do files whose endings are `known`.
    """
    names = []
    for file in _visible(folder):
        name = file.relative_to(folder).as_posix()
        if file.is_symlink() and not file.exists():
            names.append(f"{name} (a link to nothing)")
        elif file.is_symlink() and file.is_dir():
            names.append(f"{name} (a linked folder)")
        elif file.is_file() and not (file.suffix.lower() in {*IMAGE_SUFFIXES, *known} or file.name.lower() in _OF_THE_SYSTEM):
            names.append(name)
    if not names:
        return []
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    heic = "; save HEIC as JPEG" if any(name.lower().endswith((".heic", ".heif")) for name in names) else ""
    shown = f"{', '.join(names[:_MOST_NAMES])}{more}{heic}"
    return [f"{folder}: {len(names)} left out, as {', '.join(sorted(IMAGE_SUFFIXES))} are read: {shown}"]


def _visible(folder: Path) -> list[Path]:
    files = sorted(folder.rglob("*"))
    return [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def if_file(path: Path) -> Path | None:
    """Return `path` if a file lies there: label files may be missing, their images are then unlabeled."""
    return path if path.is_file() else None


def collect(files: Iterable[tuple[str, Path, Path | None]], *, where: Path, data_set: str) -> dict[str, Pair]:
    """Put images and their label files together by image id.

    Args:
        files: image id, image and label file.
        where: the folder that they come from, for the error.
        data_set: its name.

    Raises:
        ValueError: there is no image, an id comes twice, or it cannot name a file.
    """
    pairs, faults = gather(files, where=where, data_set=data_set)
    if faults:
        raise ValueError(faults[0])
    return pairs


def gather(files: Iterable[tuple[str, Path, Path | None]], *, where: Path, data_set: str) -> tuple[dict[str, Pair], list[str]]:
    """Do what `collect` does, but return all that is wrong instead of raising the first."""
    pairs: dict[str, Pair] = {}
    faults: list[str] = []
    for image_id, image, labels in files:
        try:
            check_image_id(image_id, str(image))
        except ValueError as error:
            faults.append(str(error))
            continue
        if image_id in pairs:
            faults.append(f"{image} - expected every name once - {pairs[image_id].image} has it too - rename one")
            continue
        pairs[image_id] = Pair(image, labels)
    if not pairs and not faults:
        faults.append(f"{where} - expected images of {data_set} - found none - complete the download or set data.root")
    return pairs, faults


def expect_images(labels: Iterable[tuple[Path, Path]], *, remedy: str = "complete the download") -> None:
    """Check that every label file has its image: a label file alone tells of a download that is not complete.

    Args:
        labels: label files and where the image of each is expected.
        remedy: what to do where one is missing.

    Raises:
        ValueError: an image is missing; names it.
    """
    for label_file, image in labels:
        if not image.is_file():
            raise ValueError(f"{image} - expected the image of {label_file} - found none - {remedy}")
