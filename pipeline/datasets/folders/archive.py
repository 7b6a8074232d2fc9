"""Archives as annotation tools offer them for download, unpacked where nothing can get out of the folder."""

import errno
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pipeline.datasets.folders.names import one_form
from pipeline.datasets.raw_files import IMAGE_SUFFIXES

UNPACKED = "unpacked"
"""Folder, below that of what `prepare` draws, of the archives' contents."""
_WANTED = IMAGE_SUFFIXES | {".json", ".txt", ".yaml"}
_NEEDLESS = frozenset({"SegmentationObject", "__MACOSX"})
"""Folders that nothing here reads."""


def is_archive(path: Path) -> bool:
    """Tell whether a file is a zip by its name."""
    return path.suffix.lower() == ".zip" and path.is_file()


def list_archive(archive: Path) -> list[PurePosixPath]:
    """Return the names of the files in an archive that anything here reads.

    Raises:
        ValueError: see `unpack`.
    """
    with _opened(archive) as packed:
        return [name for name, _ in _members(archive, packed)]


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack the images, label files and lists of an archive.

    Args:
        archive: a zip.
        folder: gets a folder by the archive's name.

    Returns:
        The folder with the content: the one that holds all of it, where the archive has such a one.

    Raises:
        ValueError: the archive is damaged, encrypted, larger than the free disk, or a name in it leads out of the folder, is a
            link or comes twice.
    """
    target = folder / archive.name
    target.mkdir(parents=True)
    with _opened(archive) as packed:
        members = list(_members(archive, packed))
        needed, free = sum(info.file_size for _, info in members), shutil.disk_usage(target).free
        if needed > free:
            raise ValueError(
                f"{archive} - expected to unpack at most the {free / 1e9:.1f} GB of free disk - found {needed / 1e9:.1f} GB"
                " - make room"
            )
        for name, info in members:
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(info) as content, file.open("wb") as copy:
                shutil.copyfileobj(content, copy, 2**20)
    inside = target
    while len(entries := list(inside.iterdir())) == 1 and entries[0].is_dir() and entries[0].name not in {"images", "labels"}:
        inside = entries[0]
    return inside


def name_archives(text: str, root: Path, drawn: Path) -> str:
    """Return a message with the files that were unpacked below `drawn` named as in their archives, which are `root` or in it."""
    return text.replace(f"{drawn / UNPACKED}/", f"{root if root.is_dir() else root.parent}/")


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive while it is read; what is wrong with it becomes one line."""
    try:
        with zipfile.ZipFile(archive) as packed:
            yield packed
    # RuntimeError: an encryption, or with NotImplementedError below it a compression, that the standard library cannot undo.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, UnicodeDecodeError, struct.error, OSError) as error:
        # EINVAL: a damaged place of a member, before the beginning. What else the system refuses is no fault of the archive.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        said = " ".join(str(error).split()) or repr(error)
        raise ValueError(f"{archive} - expected a zip archive - found {said[:200]} - export or download it again") from error


def _members(archive: Path, packed: zipfile.ZipFile) -> Iterator[tuple[PurePosixPath, zipfile.ZipInfo]]:
    known: set[str] = set()
    for info in packed.infolist():
        # Archives of Windows may have its separators.
        name = PurePosixPath(info.filename.replace("\\", "/"))
        is_link = stat.S_ISLNK(info.external_attr >> 16)
        if is_link or name.is_absolute() or ".." in name.parts or any(":" in part for part in name.parts[:1]):
            found = "a link" if is_link else "a path that leads out of it"
            raise ValueError(
                f"{archive} - expected files inside the archive's own folder - found {found}, {info.filename[:200]!r}"
                " - do not unpack it, get it again from its source"
            )
        hidden = any(part.startswith(".") or part in _NEEDLESS for part in name.parts)
        if info.is_dir() or hidden or name.suffix.lower() not in _WANTED:
            continue
        if one_form(str(name)) in known:
            raise ValueError(f"{archive} - expected every name once - found {str(name)[:200]!r} twice - export it again")
        known.add(one_form(str(name)))
        yield name, info
