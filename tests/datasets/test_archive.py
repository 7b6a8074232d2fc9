"""Archives: whatever is wrong with one is a line, and nothing of it gets out of its folder."""

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.datasets.folder import find_folder
from pipeline.datasets.folders.archive import name_archives, unpack
from tests.datasets.layouts import write_cvat, write_folder, write_zip


def pack(archive: Path, *names: str) -> None:
    with zipfile.ZipFile(archive, "w") as packed:
        for name in names:
            packed.writestr(name, b"x")


def link(archive: Path) -> None:
    info = zipfile.ZipInfo("images/a.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(info, "/etc/passwd")


def damage(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[60:90] = bytes(30)
    archive.write_bytes(bytes(content))


def encrypt(archive: Path) -> None:
    pack(archive, "a.png")
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(bytes(content))


def misplace(archive: Path) -> None:
    """Say that the list of members begins later than it does, which puts members before the beginning."""
    content = bytearray(archive.read_bytes())
    place = content.rindex(b"PK\5\6") + 16
    content[place : place + 4] = (int.from_bytes(content[place : place + 4], "little") + 5000).to_bytes(4, "little")
    archive.write_bytes(bytes(content))


OUT = "expected files inside the archive's own folder - found "
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "mine.zip - expected a zip archive - found "),
    "empty": (lambda path: path.write_bytes(b""), "mine.zip - expected a zip archive - found File is not a zip file - export or"),
    "damaged": (damage, "mine.zip - expected a zip archive - found "),
    "misplaced": (misplace, "mine.zip - expected a zip archive - found "),
    "encrypted": (encrypt, "mine.zip - expected a zip archive - found "),
    "up": (lambda path: pack(path, "../a.png"), f"{OUT}a path that leads out of it, '../a.png' - do not unpack it"),
    "up within": (lambda path: pack(path, "images/../../a.png"), f"{OUT}a path that leads out of it"),
    "up as Windows spells it": (lambda path: pack(path, "..\\a.png"), f"{OUT}a path that leads out of it"),
    "absolute": (lambda path: pack(path, "/etc/a.png"), f"{OUT}a path that leads out of it"),
    "a drive": (lambda path: pack(path, "C:\\a.png"), f"{OUT}a path that leads out of it"),
    "a link": (link, f"{OUT}a link, 'images/a.png'"),
    "names that differ in Unicode's forms alone": (
        lambda path: pack(path, "S\u00fcd.png", "Su\u0308d.png"),
        "mine.zip - expected every name once - found ",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_is_one_line_and_nothing_gets_out(case: str, tmp_path: Path) -> None:
    write_cvat(tmp_path / "export")
    archive = write_zip(tmp_path / "mine.zip", tmp_path / "export")
    spoil, says = BAD[case]
    spoil(archive)
    before = {path for path in tmp_path.rglob("*") if "drawn" not in path.parts}
    with pytest.raises(ValueError, match=r" - ") as caught:
        find_folder(archive, drawn=tmp_path / "drawn", workers=1)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert before == {path for path in tmp_path.rglob("*") if "drawn" not in path.parts}


def test_an_archive_larger_than_the_disk_is_refused_before_it_fills_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(tmp_path / "mine.zip", "a.png")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(
        ValueError, match=r"mine\.zip - expected to unpack at most the 0\.0 GB of free disk - found 0\.0 GB - make room"
    ):
        unpack(tmp_path / "mine.zip", tmp_path / "drawn")


def test_only_what_is_read_is_unpacked(tmp_path: Path) -> None:
    pack(
        tmp_path / "a.zip",
        "t/images/1.png",
        "t/.hidden/2.png",
        "__MACOSX/t/3.png",
        "t/SegmentationObject/4.png",
        "t/5.exe",
        "t/6.txt",
    )
    folder = unpack(tmp_path / "a.zip", tmp_path / "drawn")
    assert folder == tmp_path / "drawn/a.zip/t"
    assert sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*")) == ["6.txt", "images/1.png"]


def test_a_folder_made_by_hand_may_be_packed_too(tmp_path: Path) -> None:
    known = write_folder(tmp_path / "export")
    data_set = find_folder(write_zip(tmp_path / "mine.zip", tmp_path / "export"), drawn=tmp_path / "drawn", workers=1)
    assert {image_id for image_id, pair in data_set.train.items() if pair.labels} == set(known)


def test_messages_name_files_as_in_their_archive(tmp_path: Path) -> None:
    drawn, archive = tmp_path / "prepared", tmp_path / "in/mine.zip"
    assert name_archives(f"{drawn}/unpacked/mine.zip/a.png - x", archive, drawn) == f"{archive}/a.png - x"


def test_another_file_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "mine.rar").write_bytes(b"x")
    with pytest.raises(
        ValueError, match=r"mine\.rar - expected a folder or a zip archive - found another file - name what holds"
    ):
        find_folder(tmp_path / "mine.rar", drawn=tmp_path / "drawn", workers=1)
