"""Sample lists: which files make up the labeled, the unlabeled and the validation set."""

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.files import write_text
from pipeline.seal import broken_seal, open_text, seal_text

_COLUMNS = ("image_id", "height", "width", "image", "image_sha256", "labels", "labels_sha256")
_LONGEST_ID = 200  # bytes; with an ending, a file name may have 255


@dataclass(frozen=True)
class Sample:
    """One image and, where it may be used, its label map.

    Attributes:
        image_id: names the image, its label map and its entry in the softmax store; a plain file name.
        height: pixels.
        width: pixels.
        image: RGB file.
        image_sha256: of the image file's content, so that a list changes when an image does.
        labels: label file, or None.
        labels_sha256: of the label file's content, or the empty string.
    """

    image_id: str
    height: int
    width: int
    image: Path
    image_sha256: str
    labels: Path | None = None
    labels_sha256: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    def moved(self, old: Path, new: Path) -> "Sample":
        """Return the sample with files below `old` named as below `new`; other files keep their paths."""
        image, labels = (_rebase(path, old, new) for path in (self.image, self.labels))
        assert image is not None
        return replace(self, image=image, labels=labels)


def unlabeled_view(sample: Sample) -> Sample:
    """Return the sample without its label file: all that a training may know of an unlabeled image."""
    return replace(sample, labels=None, labels_sha256="")


def _rebase(path: Path | None, old: Path, new: Path) -> Path | None:
    return new / path.relative_to(old) if path is not None and path.is_relative_to(old) else path


def check_image_id(image_id: str, where: str) -> str:
    """Return `image_id` if it can name a file inside a folder and stand on a line of its own.

    Raises:
        ValueError: it is empty or longer than 200 bytes, holds a path separator or a character that cannot be printed, or begins
            with a dot or begins or ends with a space.
    """
    safe = image_id.isprintable() and not set(image_id) & {"/", "\\"} and image_id == image_id.strip()
    if not safe or not 1 <= len(image_id.encode("utf-8", "replace")) <= _LONGEST_ID or image_id.startswith("."):
        raise ValueError(
            f"{where} - expected a printable name of 1 to {_LONGEST_ID} bytes without slashes, leading dots or outer spaces"
            f" - found {image_id[:80]!r} - rename it"
        )
    return image_id


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write a sample list as a table of tab-separated values, in the order given; its last line is the sha256 of the others."""
    table = io.StringIO()
    writer = csv.writer(table, dialect="excel-tab", lineterminator="\n")
    writer.writerow(_COLUMNS)
    for sample in samples:
        writer.writerow(["" if (value := getattr(sample, column)) is None else value for column in _COLUMNS])
    write_text(path, seal_text(table.getvalue()))


def read_samples(path: Path, *, labels: bool, may_be_empty: bool = False) -> list[Sample]:
    """Read a sample list.

    Args:
        path: what `write_samples` wrote.
        labels: whether every sample must have a label file.
        may_be_empty: whether a list without samples is fine.

    Raises:
        ValueError: the list is missing, empty, damaged, malformed, or a sample lacks its label file.
    """
    try:
        content, whole = open_text(path.read_bytes())
        rows = list(csv.DictReader(content.decode().splitlines(), dialect="excel-tab"))
        samples = [
            Sample(
                image_id=check_image_id(row["image_id"], str(path)),
                height=_pixels(row["height"], path),
                width=_pixels(row["width"], path),
                image=Path(row["image"]),
                image_sha256=row["image_sha256"],
                labels=Path(row["labels"]) if row["labels"] else None,
                labels_sha256=row["labels_sha256"],
            )
            for row in rows
        ]
    except FileNotFoundError as error:
        raise ValueError(f"{path} - expected a sample list - {error.strerror} - run the stage `prepare`") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} - expected a sample list - found {error} - run the stage `prepare`") from error
    except (KeyError, TypeError, AttributeError, csv.Error) as error:
        raise ValueError(f"{path} - expected a sample list - malformed row, {error!r} - run the stage `prepare`") from error
    if not whole:
        raise broken_seal(path, stage="prepare")
    if not samples and not may_be_empty:
        raise ValueError(f"{path} - expected at least one sample - found an empty list - give it images")
    missing = [sample.image_id for sample in samples if labels and sample.labels is None]
    if missing:
        raise ValueError(f"{path} - expected a label file for every image - none for {missing[0]} - add it to the data set")
    return samples


def _pixels(text: str, path: Path) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{path} - expected a size in pixels - found {text!r} - run the stage `prepare`")
    return int(text)


def write_ids(path: Path, image_ids: Iterable[str]) -> None:
    """Write a split as plain text, one image id per line."""
    write_text(path, "".join(f"{image_id}\n" for image_id in image_ids))


def read_ids(path: Path, known: Iterable[str]) -> list[str]:
    """Read a split of plain text, one image id per line; empty lines are skipped.

    Args:
        path: a user's list or one that `write_ids` wrote.
        known: the image ids that the data set has.

    Raises:
        ValueError: the file is missing or empty, or names an image twice or one that the data set lacks.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} - expected a text list of image ids - {error} - correct the path") from error
    allowed = set(known)
    written = [line.strip() for line in lines if line.strip()]
    # Where a list was made on a Mac, its umlauts may be spelled as the names of files there.
    image_ids = [line if line in allowed else unicodedata.normalize("NFC", line) for line in written]
    if not image_ids:
        raise ValueError(f"{path} - expected image ids, one per line - found none - fill the list")
    for number, image_id in enumerate(image_ids, start=1):
        if image_id not in allowed:
            raise ValueError(
                f"{path} - entry {number} - expected an image of the data set - found {image_id!r} - correct the list"
            )
    if repeated := [image_id for image_id, times in Counter(image_ids).items() if times > 1]:
        raise ValueError(f"{path} - expected every image once - found {repeated[0]!r} twice - remove one")
    return image_ids
