"""A store on object storage is the store that lies in a folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.softmax_store.confidences import link_confidences
from pipeline.softmax_store.reader import ConfidenceStore, SoftmaxStore
from tests.object_storage import BUCKET, ObjectStorage, object_storage
from tests.softmax_store.cases import ONE_IMAGE, digests, open_writer, street_probs, write_maps, write_pending

URL = f"s3://{BUCKET}/stores/one/softmax.zarr"


@pytest.fixture(scope="module")
def storage() -> Iterator[ObjectStorage]:
    with object_storage() as server:
        yield server


def write_local(folder: Path) -> SoftmaxStore:
    writer = open_writer(folder, shard_mib=ONE_IMAGE)
    write_pending(writer, street_probs())
    return SoftmaxStore(writer.path)


def assert_same(one: SoftmaxStore, other: SoftmaxStore) -> None:
    assert one.image_ids == other.image_ids
    assert (one.class_names, one.precision) == (other.class_names, other.precision)
    np.testing.assert_array_equal(one.total_counts(), other.total_counts())
    np.testing.assert_array_equal(one.total_ties(), other.total_ties())
    for index in range(len(one.image_ids)):
        np.testing.assert_array_equal(one.softmax(index), other.softmax(index))


def list_keys(storage: ObjectStorage) -> set[str]:
    return {entry["Key"] for entry in storage.client().list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def test_a_store_at_a_url_reads_like_one_in_a_folder_and_takes_no_room_here(storage: ObjectStorage, tmp_path: Path) -> None:
    before = list_keys(storage)  # tests of stages may have written to the same storage
    local = write_local(tmp_path / "local")
    writer = open_writer(tmp_path / "remote", shard_mib=ONE_IMAGE, url=URL)
    write_pending(writer, street_probs())
    assert list(digests(writer.path)) == ["location.json"]
    remote = SoftmaxStore(writer.path)
    assert remote.url == URL
    assert_same(remote, local)
    for store, name in ((local, "a"), (remote, "b")):
        link_confidences(tmp_path / name, store)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert ConfidenceStore(tmp_path / "b").image_ids == local.image_ids
    assert all(key.startswith("stores/one/softmax.zarr/") for key in list_keys(storage) - before)


def test_work_that_loses_its_server_says_so_and_goes_on_when_it_is_back(storage: ObjectStorage, tmp_path: Path) -> None:
    local = write_local(tmp_path / "local")
    writer = open_writer(tmp_path / "remote", shard_mib=ONE_IMAGE, url=URL)
    write_pending(writer, street_probs(), most=2)
    storage.stop()
    try:
        with pytest.raises(ValueError, match="expected a file system that answers") as caught:
            write_maps(writer, 2, street_probs()[2:3])
        with pytest.raises(ValueError, match="check network and credentials"):
            SoftmaxStore(writer.path)
    finally:
        storage.start()
    assert str(caught.value).startswith(URL)
    assert "\n" not in str(caught.value)
    assert writer.done == {0, 1}
    again = open_writer(tmp_path / "remote", shard_mib=ONE_IMAGE, url=URL)
    assert again.done == {0, 1}
    write_pending(again, street_probs())
    assert_same(SoftmaxStore(again.path), local)


def test_a_lost_object_is_an_error_and_no_probability(storage: ObjectStorage, tmp_path: Path) -> None:
    writer = open_writer(tmp_path, shard_mib=ONE_IMAGE, url=URL)
    write_pending(writer, street_probs())
    storage.client().delete_object(Bucket=BUCKET, Key="stores/one/softmax.zarr/confidence/c/1/0/0")
    with pytest.raises(ValueError, match=rf"{URL} - confidence - expected a whole softmax store"):
        SoftmaxStore(writer.path).confidence(1)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "other", "url": "s3://x/y"}', '{"format": "dars-store-location", "url": 3}']
)
def test_a_damaged_location_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "location.json").write_text(text)
    with pytest.raises(ValueError, match=r"location\.json - .* run the stage `infer`"):
        SoftmaxStore(tmp_path)


def test_a_bucket_that_does_not_exist_is_named(storage: ObjectStorage, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"s3://nowhere/softmax\.zarr - expected a file system that answers"):
        open_writer(tmp_path, url="s3://nowhere/softmax.zarr")
    shutil.rmtree(tmp_path)
