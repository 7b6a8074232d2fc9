import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files import atomic_path, digest, publish, read_json, write_text


class StopError(Exception):
    pass


def test_a_new_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file"
    for text in ("old", "new"):
        with atomic_path(path) as partial:
            assert partial.parent == path.parent
            partial.write_text(text)
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def make_file(path: Path, text: str) -> None:
    path.write_text(text)


def make_folder(path: Path, text: str) -> None:
    path.mkdir()
    for name in ("a", "b"):
        (path / name).write_text(text)


def content(path: Path) -> list[str]:
    return [path.read_text()] if path.is_file() else sorted(file.read_text() for file in path.iterdir())


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("make", [make_file, make_folder])
def test_an_error_leaves_the_old_content_and_no_partial(
    tmp_path: Path, make: Callable[[Path, str], None], error: type[BaseException]
) -> None:
    path = tmp_path / "out"
    make(path, "old")
    with pytest.raises(error), atomic_path(path) as partial:  # noqa: PT012 - the error is raised after the writing
        make(partial, "new")
        raise error
    assert set(content(path)) == {"old"}
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_anything_is_written_comes_through(tmp_path: Path) -> None:
    with pytest.raises(StopError), atomic_path(tmp_path / "out"):
        raise StopError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [make_file, make_folder])
def test_a_kill_leaves_the_old_content(tmp_path: Path, make: Callable[[Path, str], None]) -> None:
    path = tmp_path / "out"
    make(path, "old")
    program = (
        "import os, signal, sys; from pathlib import Path; from pipeline.files import atomic_path; from tests import test_files\n"
        "with atomic_path(Path(sys.argv[1])) as partial:\n"
        "    getattr(test_files, sys.argv[2])(partial, 'new')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path), make.__name__], check=False)
    assert done.returncode == -signal.SIGKILL
    assert set(content(path)) == {"old"}


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    make_folder(path, "old")
    with atomic_path(path) as partial:
        partial.mkdir()
        (partial / "c").write_text("new")
    assert [file.name for file in path.iterdir()] == ["c"]


def test_a_kill_while_a_folder_is_exchanged_leaves_it_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    make_folder(path, "old")

    def remove_half(folder: Path, *_: object, **__: object) -> None:
        (Path(folder) / "a").unlink(missing_ok=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:  # noqa: PT012 - the patch covers the exchange
        patch.setattr(shutil, "rmtree", remove_half)
        with atomic_path(path) as partial:
            make_folder(partial, "new")
    assert not path.exists() or content(path) in (["old", "old"], ["new", "new"])


@pytest.mark.parametrize(("old", "new"), [(make_file, make_folder), (make_folder, make_file)])
def test_a_file_and_a_folder_can_replace_each_other(
    tmp_path: Path, old: Callable[[Path, str], None], new: Callable[[Path, str], None]
) -> None:
    old(tmp_path / "out", "old")
    with atomic_path(tmp_path / "out") as partial:
        new(partial, "new")
    assert set(content(tmp_path / "out")) == {"new"}


@pytest.mark.parametrize("make", [make_file, make_folder])
def test_read_only_hard_links_of_a_cache_are_not_written_through(tmp_path: Path, make: Callable[[Path, str], None]) -> None:
    cached, path = tmp_path / "cache", tmp_path / "out"
    make(cached, "old")
    for file in [cached] if cached.is_file() else list(cached.iterdir()):
        file.chmod(0o444)
    shutil.copytree(cached, path, copy_function=os.link) if cached.is_dir() else os.link(cached, path)
    with atomic_path(path) as partial:
        make(partial, "new")
    assert set(content(path)) == {"new"}
    assert set(content(cached)) == {"old"}


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_floats_in_json_read_back_exactly(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.getbasetemp() / "values.json"
    write_text(path, json.dumps(values))
    assert list(map(repr, read_json(path))) == list(map(repr, values))


def test_a_digest_covers_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    def folder(name: str, **files: str) -> str:
        (tmp_path / name).mkdir()
        for file, text in files.items():
            write_text(tmp_path / name / file, text)
        return digest(tmp_path / name)

    first = folder("one", a="1", b="2")
    assert folder("two", b="2", a="1") == first
    assert len({first, folder("three", a="2", b="1"), folder("four", a="1", c="2"), folder("five", a="1")}) == 4
    os.utime(tmp_path / "one" / "a", (0, 0))
    assert digest(tmp_path / "one") == first
    assert digest(tmp_path / "one" / "a") == "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_between_mounts_of_one_file_system_a_result_is_copied(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "scratch" / "result", tmp_path / "data" / "result"
    make_result(source, kind)
    expected = digest(source)
    replace = Path.replace

    def across(self: Path, where: Path) -> Path:
        if self == source:
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(self))
        return replace(self, where)

    monkeypatch.setattr(Path, "replace", across)
    for _ in range(2):  # the second replaces the first
        publish(source, target)
        assert digest(target) == expected
        assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_published_is_on_disk_before_it_has_its_name(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "scratch" / "result", tmp_path / "data" / "result"
    make_result(source, kind)
    synced: list[Path] = []
    fsync = os.fsync

    def note(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        assert target.exists() == (synced[-1] == target.parent)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    below = {source, *source.rglob("*")}
    publish(source, target)
    assert set(synced) == below | {target.parent}


def test_a_full_disk_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(tmp_path / "result"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "result")


def test_a_copy_that_fails_tells_of_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "result"
    make_result(source, "folder")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "Invalid cross-device link")))
    failures = [(str(source / name), "x", "No space left on device") for name in "ab"]
    monkeypatch.setattr("shutil.copytree", lambda *_: (_ for _ in ()).throw(shutil.Error(failures)))
    with pytest.raises(OSError, match="No space left on device") as caught:
        publish(source, tmp_path / "data" / "result")
    assert caught.value.filename == str(source / "a")


def make_result(path: Path, kind: str) -> None:
    if kind == "file":
        path.parent.mkdir(parents=True)
        path.write_text("content")
    else:
        (path / "deep").mkdir(parents=True)
        (path / "a").write_text("one")
        (path / "deep/b").write_text("two")
