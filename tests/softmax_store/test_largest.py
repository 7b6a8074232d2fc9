"""A store that keeps the largest probability of each pixel alone: all but the maps is that of a store of all."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from pipeline.params import StoreParams
from pipeline.softmax_store.confidences import link_confidences
from pipeline.softmax_store.reader import SoftmaxStore
from tests.softmax_store.cases import SIZES, digests, entry, open_writer, street_probs, write_pending
from tests.strategies import make_probs


def write_both(folder: Path, dtype: Literal["float16", "float32"] = "float16") -> tuple[SoftmaxStore, SoftmaxStore]:
    """A store of all probabilities and one of the largest, of the same maps."""
    stores = []
    for keep in ("all", "largest"):
        writer = open_writer(folder / keep, dtype=dtype, keep=keep)
        write_pending(writer, street_probs(), dtype=dtype, keep=keep)
        stores.append(SoftmaxStore(writer.path))
    return stores[0], stores[1]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_all_but_the_maps_has_the_bytes_of_a_store_of_all(tmp_path: Path, dtype: Literal["float16", "float32"]) -> None:
    both, largest = write_both(tmp_path, dtype)
    own = digests(largest.path)
    assert not any(name.startswith("softmax/") for name in own)
    expected = {name: digest for name, digest in digests(both.path).items() if not name.startswith("softmax/")}
    assert {**own, "zarr.json": ""} == {**expected, "zarr.json": ""}
    for store in (both, largest):
        link_confidences(tmp_path / f"linked-{store.kept}", store)
    assert digests(tmp_path / "linked-all") == digests(tmp_path / "linked-largest")
    np.testing.assert_array_equal(largest.total_ties(), both.total_ties())


def test_only_a_store_of_the_largest_says_what_it_keeps(tmp_path: Path) -> None:
    found = [json.loads((store.path / "zarr.json").read_text())["attributes"].get("keep") for store in write_both(tmp_path)]
    assert found == [None, "largest"]


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    _, whole = write_both(tmp_path / "whole")
    begun = open_writer(tmp_path / "begun", keep="largest")
    write_pending(begun, street_probs(), most=1, keep="largest")
    again = open_writer(tmp_path / "begun", keep="largest")
    assert again.done == {0}
    write_pending(again, street_probs(), keep="largest")
    assert digests(again.path) == digests(whole.path)


def test_what_was_begun_with_the_other_setting_is_begun_anew(tmp_path: Path) -> None:
    write_pending(open_writer(tmp_path), street_probs(), most=1)
    again = open_writer(tmp_path, keep="largest")
    assert not again.done
    write_pending(again, street_probs(), keep="largest")
    assert SoftmaxStore(again.path).kept == "largest"


def test_shards_are_bounded_by_the_largest_array_that_is_there(tmp_path: Path) -> None:
    sizes = [(200, 300)] * 12
    both, largest = (open_writer(tmp_path / keep, sizes, shard_mib=0.8, keep=keep) for keep in ("all", "largest"))
    assert (len(both.shards[0]), len(largest.shards[0])) == (2, 6)


def test_maps_that_are_not_there_are_asked_for_in_one_line(tmp_path: Path) -> None:
    _, largest = write_both(tmp_path)
    with pytest.raises(ValueError, match=r"expected a store of all .* found keep: largest - set softmax_store.keep=all") as error:
        largest.softmax(0)
    assert "\n" not in str(error.value)
    params = StoreParams(average="probabilities", dtype="float16", floor=0.0, keep="all", shard_mib=1.0)
    with pytest.raises(ValueError, match=r"keep - expected all, as params.yaml has it - found largest - run the stage `infer`"):
        largest.check_params(params)
    largest.check_params(params.model_copy(update={"keep": "largest"}))


@pytest.mark.parametrize("kept", [None, "all", "every", 3])
def test_an_altered_note_of_what_is_kept_is_damage(tmp_path: Path, kept: object) -> None:
    _, largest = write_both(tmp_path)
    described = json.loads((largest.path / "zarr.json").read_text())
    described["attributes"]["keep"] = kept
    if kept is None:
        del described["attributes"]["keep"]
    (largest.path / "zarr.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"expected a whole softmax store .* run the stage `infer`"):
        SoftmaxStore(largest.path)


def test_a_map_of_another_size_than_the_image_is_refused(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, keep="largest")
    maps = [make_probs(np.random.default_rng(0), (4, 4), 3, (0, 2)) for _ in writer.shards[0]]
    with pytest.raises(ValueError, match=rf"expected shape \(0, {SIZES[0][0]}, {SIZES[0][1]}\) - found \(0, 4, 4\)"):
        writer.write_shard(0, [entry(probs, keep="largest") for probs in maps])
