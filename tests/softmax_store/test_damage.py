import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from pipeline.softmax_store.reader import SoftmaxStore
from tests.softmax_store.cases import SIZES, open_writer, street_probs, write_pending

READS: dict[str, Callable[[SoftmaxStore], object]] = {
    "softmax": lambda store: [store.softmax(index) for index in range(len(SIZES))],
    "prediction": lambda store: [store.prediction(index) for index in range(len(SIZES))],
    "confidence": lambda store: [store.confidence(index) for index in range(len(SIZES))],
    "confidence_counts": lambda store: store.total_counts(),
    "ties": lambda store: store.total_ties(),
    "size": lambda store: [store.size(index) for index in range(len(SIZES))],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    writer = open_writer(tmp_path_factory.mktemp("whole"))
    write_pending(writer, street_probs())
    return writer.path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "softmax.zarr"))


def shard_files(path: Path, name: str) -> list[Path]:
    return sorted(file for file in (path / name / "c").rglob("*") if file.is_file())


def assert_refused(path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"- expected .* - found .* run the stage `infer`") as error:
        READS[name](SoftmaxStore(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", READS)
def test_a_lost_shard_is_an_error(path: Path, name: str) -> None:
    shard_files(path, name)[1].unlink()
    assert_refused(path, name)


@pytest.mark.parametrize("name", READS)
def test_a_shard_cut_short_is_an_error(path: Path, name: str) -> None:
    file = shard_files(path, name)[0]
    file.write_bytes(file.read_bytes()[:-5])
    assert_refused(path, name)


@pytest.mark.parametrize("name", READS)
def test_an_empty_shard_is_an_error(path: Path, name: str) -> None:
    shard_files(path, name)[2].write_bytes(b"")
    assert_refused(path, name)


def attempt(path: Path, name: str) -> tuple[object, str]:
    """What is read, and the error in its place if there is one."""
    try:
        return READS[name](SoftmaxStore(path)), ""
    except ValueError as error:
        return None, str(error)


@pytest.mark.parametrize("name", READS)
def test_a_flipped_bit_is_an_error_or_changes_no_value(path: Path, name: str) -> None:
    file = shard_files(path, name)[0]
    content = file.read_bytes()
    expected = READS[name](SoftmaxStore(path))
    refused = 0
    positions = np.random.default_rng(0).choice(len(content), size=min(40, len(content)), replace=False).tolist()
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        file.write_bytes(damaged)
        found, error = attempt(path, name)
        if error:
            refused += 1
            assert error.startswith(str(path))
            assert "\n" not in error
        else:
            np.testing.assert_equal(found, expected)
    assert refused >= 0.8 * len(positions)


@pytest.mark.parametrize("name", READS)
def test_a_lost_array_is_an_error(path: Path, name: str) -> None:
    shutil.rmtree(path / name)
    assert_refused(path, name)


@pytest.mark.parametrize("name", READS)
def test_an_array_without_its_description_is_an_error(path: Path, name: str) -> None:
    (path / name / "zarr.json").write_text("{")
    assert_refused(path, name)


def change_attributes(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tree = json.loads((path / "zarr.json").read_text())
    change(tree["attributes"])
    (path / "zarr.json").write_text(json.dumps(tree))


@pytest.mark.parametrize("version", [0, 2, "3", None])
def test_another_version_is_an_error(path: Path, version: object) -> None:
    change_attributes(path, lambda attributes: attributes.update(version=version))
    with pytest.raises(ValueError, match=r"expected dars-softmax-store version 4 - found .* - run the stage `infer`") as error:
        SoftmaxStore(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["image_ids", "class_names"])
def test_a_store_without_its_names_is_an_error(path: Path, name: str) -> None:
    change_attributes(path, lambda attributes: attributes.pop(name))
    assert_refused(path, "size")


def test_fewer_names_than_images_is_an_error(path: Path) -> None:
    change_attributes(path, lambda attributes: attributes.update(image_ids=["image_0"]))
    assert_refused(path, "size")


def test_fewer_class_names_than_classes_is_an_error(path: Path) -> None:
    change_attributes(path, lambda attributes: attributes.update(class_names=["road", "sky"]))
    assert_refused(path, "confidence_counts")


def test_a_group_of_someone_else_is_an_error(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "other.zarr", mode="w").create_array("size", shape=(2, 2), dtype="int32")
    with pytest.raises(ValueError, match=r"expected dars-softmax-store version 4 - found .* - run the stage `infer`"):
        SoftmaxStore(tmp_path / "other.zarr")


def test_no_store_a_file_and_an_empty_folder_are_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    for name in ("gone", "file", "folder"):
        with pytest.raises(ValueError, match=r"run the stage `infer`") as error:
            SoftmaxStore(tmp_path / name)
        assert str(error.value).startswith(str(tmp_path / name))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("shards", [0, 1, 2])
def test_an_unfinished_store_is_an_error(tmp_path: Path, shards: int) -> None:
    writer = open_writer(tmp_path)
    write_pending(writer, street_probs(), most=shards)
    with pytest.raises(ValueError, match=r"size - expected a whole softmax store - found an image that was never written"):
        SoftmaxStore(writer.path)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EMFILE, "Too many open files"), PermissionError(errno.EACCES, "Permission denied"), MemoryError(),
     RuntimeError("can't start new thread")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_shortage_is_no_damage(whole: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    store = SoftmaxStore(whole)

    def fail(name: str) -> object:
        raise error

    monkeypatch.setattr(store, "_array", fail)
    with pytest.raises(type(error)) as raised:
        store.counts_of(range(1))
    assert "delete it" not in str(raised.value)


@pytest.mark.parametrize("error", [FileNotFoundError("c/0/0"), KeyError("ties"), RuntimeError("zstd: corrupt data")], ids=repr)
def test_whatever_else_fails_is_damage(whole: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    store = SoftmaxStore(whole)

    def fail(name: str) -> object:
        raise error

    monkeypatch.setattr(store, "_array", fail)
    with pytest.raises(ValueError, match=r"expected a whole softmax store - found .* delete it and run the stage `infer`"):
        store.counts_of(range(1))
