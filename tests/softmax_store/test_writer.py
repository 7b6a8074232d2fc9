"""What a store under construction refuses at its door."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.params import StoreParams
from pipeline.softmax_store.reader import SoftmaxStore
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from tests.softmax_store.cases import entry, open_writer, street_probs, write_maps


@pytest.mark.parametrize("floor", [0.06, 0.1, 0.49])
def test_a_floor_above_one_over_c_is_refused_or_changes_no_confidence_either(tmp_path: Path, floor: float) -> None:
    probs = np.full((19, 1, 1), 0.95 / 18, np.float32)
    probs[7] = 0.053
    try:
        writer = open_wide_writer(tmp_path, floor)
    except ValueError:
        return
    writer.write_shard(0, [entry(probs, floor=floor)])
    store = SoftmaxStore(writer.path)
    assert store.prediction(0).item() == 7
    assert store.confidence(0).item() == np.float16(0.053)


def open_wide_writer(folder: Path, floor: float) -> SoftmaxStoreWriter:
    return SoftmaxStoreWriter(
        folder,
        image_ids=["a"],
        sizes=[(1, 1)],
        class_names=[f"class_{index}" for index in range(19)],
        params=StoreParams(average="probabilities", dtype="float16", floor=floor, keep="all", shard_mib=1.0),
        attributes={},
    )


@pytest.mark.parametrize("shape", [(3, 7, 5), (2, 5, 7), (4, 5, 7), (3, 5, 8)])
def test_a_map_of_another_shape_is_refused_on_writing(tmp_path: Path, shape: tuple[int, ...]) -> None:
    writer = open_writer(tmp_path)
    with pytest.raises(ValueError, match=r"expected shape \(3, 5, 7\) - found") as error:
        write_maps(writer, 0, [np.full(shape, 1 / shape[0], np.float32), street_probs()[1]])
    assert "\n" not in str(error.value)
    assert writer.done == set()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_shard_of_another_number_of_images_is_refused_on_writing(tmp_path: Path, count: int) -> None:
    writer = open_writer(tmp_path)
    with pytest.raises(ValueError, match=r"\w"):
        write_maps(writer, 0, street_probs()[:count])
    assert writer.done == set()
