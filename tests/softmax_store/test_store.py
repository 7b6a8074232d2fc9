import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.params import StoreParams
from pipeline.softmax_store.arrays import TILE
from pipeline.softmax_store.confidences import link_confidences
from pipeline.softmax_store.quantized_map import precision_of
from pipeline.softmax_store.reader import SoftmaxStore
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from tests.softmax_store.cases import CLASS_NAMES, ONE_IMAGE, SIZES, digests, open_writer, street_probs, write_maps, write_pending
from tests.strategies import Maps, make_probs, softmax_maps


@settings(max_examples=15, deadline=None)
@given(softmax_maps(), st.floats(1e-6, 1e-2))
def test_what_is_read_is_what_was_written_rounded_to_float16(maps: Maps, shard_mib: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer = SoftmaxStoreWriter(
            Path(folder), image_ids=maps.image_ids, sizes=maps.sizes, class_names=maps.class_names,
            params=StoreParams(average="probabilities", dtype="float16", floor=0.0, keep="all", shard_mib=shard_mib),
            attributes={},
        )  # fmt: skip
        write_pending(writer, maps.probs)
        store = SoftmaxStore(writer.path)
        assert store.image_ids == maps.image_ids
        assert store.class_names == maps.class_names
        for index, probs in enumerate(maps.probs):
            assert store.size(index) == maps.sizes[index]
            assert store.softmax(index).dtype == store.confidence(index).dtype == np.float16
            assert store.prediction(index).dtype == np.uint8
            np.testing.assert_array_equal(store.softmax(index), probs.astype(np.float16))
            pixels = maps.pixels(index)
            assert store.prediction(index).ravel().tolist() == [label for label, _ in pixels]
            assert store.confidence(index).ravel().tolist() == [confidence for _, confidence in pixels]
            values = precision_of("float16", maps.num_classes).values.tolist()
            expected = np.zeros((maps.num_classes, len(values)), int)
            for label, confidence in pixels:
                expected[label, values.index(confidence)] += 1
            np.testing.assert_array_equal(store.counts_of(range(index, index + 1))[0], expected)
        every = store.counts_of(range(len(maps.probs)))
        np.testing.assert_array_equal(store.total_counts(), every.sum(axis=0, dtype=np.int64))


@pytest.mark.parametrize("num_classes", [1, 2, 3, 19, 255])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_columns_of_the_counts_are_all_values_that_a_largest_probability_can_have(num_classes: int, dtype: str) -> None:
    precision = precision_of(dtype, num_classes)
    values = precision.values
    assert values.dtype == dtype
    assert (np.diff(values) > 0).all()
    assert values[-1] == 1.0
    even = np.full(num_classes, 1 / num_classes, dtype)
    assert values[0] < even[0] * 0.992
    assert values[0] > even[0] * 0.98
    every = np.arange(precision.lowest << precision.shift, precision.highest + 1, dtype=np.uint32)[:: precision.finer_columns]
    np.testing.assert_array_equal(values, every.astype(precision.bits).view(dtype))
    np.testing.assert_array_equal(precision.columns(values), np.arange(precision.num_columns))
    np.testing.assert_array_equal(
        precision.columns(np.nextafter(values[1:], np.zeros(1, dtype), dtype=dtype)), np.arange(precision.num_columns - 1)
    )


@pytest.mark.parametrize("images", [0.1, 1, 2, 3, 100])
def test_any_shard_size_gives_the_same_values(tmp_path: Path, images: float) -> None:
    writer = open_writer(tmp_path, shard_mib=images * ONE_IMAGE * 1.01)
    assert {len(rows) for rows in writer.shards[:-1]} <= {max(int(images), 1)}
    assert [row for rows in writer.shards for row in rows] == list(range(len(SIZES)))
    write_pending(writer, street_probs())
    store = SoftmaxStore(writer.path)
    for index, probs in enumerate(street_probs()):
        np.testing.assert_array_equal(store.softmax(index), probs.astype(np.float16))
        assert int(store.counts_of(range(index, index + 1)).sum()) == SIZES[index][0] * SIZES[index][1]


def test_one_large_image_among_small_ones_makes_none_of_them_large(tmp_path: Path) -> None:
    sizes = [(32, 32), (20, 33), (700, 1100), (32, 32)]
    rng = np.random.default_rng(0)
    maps = [make_probs(rng, size, len(CLASS_NAMES), (0, 2)) for size in sizes]
    writer = open_writer(tmp_path, sizes)
    write_pending(writer, maps)
    store = SoftmaxStore(writer.path)
    for index, probs in enumerate(maps):
        np.testing.assert_array_equal(store.softmax(index), probs.astype(np.float16))
        np.testing.assert_array_equal(store.prediction(index), probs.astype(np.float16).argmax(axis=0))
    described = json.loads((writer.path / "softmax/zarr.json").read_text())
    assert described["chunk_grid"]["configuration"]["chunk_shape"] == [1, 3, 1024, 1536]
    assert described["codecs"][0]["configuration"]["chunk_shape"] == [1, 3, TILE, TILE]
    # Of a small image there is one chunk; the others are holes of the shard.
    [shard] = (file for file in (writer.path / "softmax/c/0").rglob("*") if file.is_file())
    places = np.frombuffer(shard.read_bytes()[-4 - 6 * 16 : -4], "<u8").reshape(6, 2)
    assert (places[:, 1] != 2**64 - 1).tolist() == [True] + 5 * [False]


def test_images_of_one_size_have_one_chunk_each_however_large(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, [(600, 700), (600, 700)])
    described = json.loads((writer.path / "softmax/zarr.json").read_text())
    assert described["codecs"][0]["configuration"]["chunk_shape"] == [1, 3, 600, 700]


def test_provenance_is_kept(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, floor=1e-3)
    write_pending(writer, street_probs())
    store = SoftmaxStore(writer.path)
    assert store.class_names == CLASS_NAMES
    assert store.precision.dtype == "float16"
    attributes = json.loads((writer.path / "zarr.json").read_text())["attributes"]
    provenance = {"teacher_sha256": "abc", "inference": {"flip": True}, "average": "probabilities", "floor": 1e-3}
    assert provenance.items() <= attributes.items()


def test_shards_may_be_written_in_any_order(tmp_path: Path) -> None:
    forward, backward = open_writer(tmp_path / "forward"), open_writer(tmp_path / "backward")
    write_pending(forward, street_probs())
    for index in reversed(range(len(backward.shards))):
        write_maps(backward, index, [street_probs()[row] for row in backward.shards[index]])
    assert digests(forward.path) == digests(backward.path)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_resumed_store_has_the_bytes_of_an_uninterrupted_one(tmp_path: Path, first: int) -> None:
    whole = open_writer(tmp_path / "whole")
    write_pending(whole, street_probs())
    write_pending(open_writer(tmp_path / "resumed"), street_probs(), most=first)
    resumed = open_writer(tmp_path / "resumed")
    assert resumed.done == set(range(first))
    assert write_pending(resumed, street_probs()) == list(range(first, 3))
    assert digests(resumed.path) == digests(whole.path)
    assert open_writer(tmp_path / "resumed").done == {0, 1, 2}


def test_a_line_of_the_done_list_cut_short_is_ignored_and_partial_files_are_removed(tmp_path: Path) -> None:
    whole = open_writer(tmp_path / "whole")
    write_pending(whole, street_probs())
    write_pending(open_writer(tmp_path / "resumed"), street_probs(), most=2)
    done = tmp_path / "resumed" / "done-0.txt"
    whole_list = (tmp_path / "whole/done-0.txt").read_text()
    first, second, _ = whole_list.splitlines()
    done.write_text(f"{first}\n{second[:30]}")
    leftover = tmp_path / "resumed" / "softmax.zarr" / "prediction" / "c" / ".x.partial"
    leftover.write_bytes(b"half")
    resumed = open_writer(tmp_path / "resumed")
    assert resumed.done == {0}
    assert not leftover.exists()
    write_pending(resumed, street_probs())
    assert digests(resumed.path) == digests(whole.path)
    assert done.read_text() == whole_list


@pytest.mark.parametrize("shard", [1, 2])
@pytest.mark.parametrize("left", [b"", b"half"])
def test_a_shard_that_a_lost_machine_left_unfinished_on_disk_is_written_anew(tmp_path: Path, shard: int, left: bytes) -> None:
    whole = open_writer(tmp_path / "whole")
    write_pending(whole, street_probs())
    write_pending(open_writer(tmp_path / "resumed"), street_probs(), most=shard)
    file = tmp_path / "resumed" / "softmax.zarr" / "softmax" / "c" / str(shard) / "0" / "0" / "0"
    file.parent.mkdir(parents=True)
    file.write_bytes(left)
    resumed = open_writer(tmp_path / "resumed")
    write_pending(resumed, street_probs())
    assert digests(resumed.path) == digests(whole.path)


@pytest.mark.parametrize("shard", [1, 2])
def test_nothing_of_an_unlisted_shard_is_kept(tmp_path: Path, shard: int) -> None:
    whole = open_writer(tmp_path / "whole")
    write_pending(whole, street_probs())
    write_pending(open_writer(tmp_path / "resumed"), street_probs(seed=1))
    done = tmp_path / "resumed" / "done-0.txt"
    done.write_text("".join(line for line in done.read_text().splitlines(keepends=True) if not line.startswith(f"{shard} ")))
    writer = open_writer(tmp_path / "resumed")
    assert write_pending(writer, street_probs()) == [shard]
    own = {name: content for name, content in digests(whole.path).items() if f"/c/{shard}" in name}
    assert own
    assert own.items() <= digests(writer.path).items()


@pytest.mark.parametrize("name", ["softmax/c/1/0/0/0", "prediction/c/1/0/0", "confidence_counts/c/1/0/0", "size/c/1/0"])
def test_a_finished_shard_that_was_damaged_since_is_written_anew(tmp_path: Path, name: str) -> None:
    whole = open_writer(tmp_path / "whole")
    write_pending(whole, street_probs())
    write_pending(open_writer(tmp_path / "resumed"), street_probs(), most=2)
    file = tmp_path / "resumed/softmax.zarr" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    resumed = open_writer(tmp_path / "resumed")
    assert resumed.done == {0}
    write_pending(resumed, street_probs())
    assert digests(resumed.path) == digests(whole.path)


@pytest.mark.parametrize("name", ["zarr.json", "softmax/zarr.json", "size/zarr.json"])
@pytest.mark.parametrize("damage", [b"", None, b"{}"])
def test_a_partial_store_with_damaged_metadata_starts_over(tmp_path: Path, name: str, damage: bytes | None) -> None:
    whole = open_writer(tmp_path / "whole")
    write_pending(whole, street_probs())
    write_pending(open_writer(tmp_path / "resumed"), street_probs(), most=2)
    file = tmp_path / "resumed/softmax.zarr" / name
    file.unlink() if damage is None else file.write_bytes(damage)
    resumed = open_writer(tmp_path / "resumed")
    assert resumed.done == set()
    write_pending(resumed, street_probs())
    assert digests(resumed.path) == digests(whole.path)


def test_a_kill_while_the_arrays_are_made_starts_over(tmp_path: Path) -> None:
    open_writer(tmp_path)
    (tmp_path / "done-0.txt").unlink()
    (tmp_path / "softmax.zarr" / "size" / "zarr.json").unlink()
    writer = open_writer(tmp_path)
    write_pending(writer, street_probs())
    np.testing.assert_array_equal(SoftmaxStore(writer.path).sizes, SIZES)


def test_every_file_describes_itself_as_zarr_3(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    write_pending(writer, street_probs())
    attributes = json.loads((writer.path / "zarr.json").read_text())["attributes"]
    assert (attributes["format"], attributes["version"]) == ("dars-softmax-store", 4)
    arrays = {path.parent.name: json.loads(path.read_text()) for path in writer.path.glob("*/zarr.json")}
    assert set(arrays) == {"softmax", "ties", "prediction", "confidence", "confidence_counts", "size"}
    assert {name: tree["shape"] for name, tree in arrays.items()} == {
        "softmax": [5, 3, 8, 9], "prediction": [5, 8, 9], "confidence": [5, 8, 9], "confidence_counts": [5, 3, 1721],
        "size": [5, 2], "ties": [5, 3, 3],
    }  # fmt: skip
    assert all(tree["zarr_format"] == 3 for tree in arrays.values())


def test_the_format_is_described_for_readers_in_any_language(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "pipeline" / "softmax_store" / "FORMAT.md").read_text()
    writer = open_writer(tmp_path)
    write_pending(writer, street_probs())
    link_confidences(tmp_path / "confidences.zarr", SoftmaxStore(writer.path))
    softmax, confidences = text.split("**The confidence store**")
    for path, page in ((writer.path, softmax), (tmp_path / "confidences.zarr", confidences)):
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
        assert all(f"`{name}`" in page for name in attributes)
        assert f'"{attributes["format"]}"' in page
    assert all(f"| `{array.name}` |" in softmax for array in writer.path.iterdir() if array.is_dir())


def test_a_kill_after_the_store_moved_to_its_place_begins_anew(tmp_path: Path) -> None:
    probs = street_probs()
    writer = open_writer(tmp_path)
    write_pending(writer, probs)
    writer.path.rename(tmp_path / "published.zarr")
    again = open_writer(tmp_path)
    assert again.done == set()
    write_pending(again, probs)
    assert digests(again.path) == digests(tmp_path / "published.zarr")
