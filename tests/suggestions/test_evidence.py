"""What the counts of a store say of its images, beside its pixels."""

import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from pipeline.softmax_store.quantized_map import precision_of
from pipeline.softmax_store.reader import ConfidenceStore
from pipeline.suggestions.evidence import read_evidence
from tests.strategies import make_probs
from tests.suggestions.cases import SIZES, write_round


def silent(items: Iterable[Any], /, *, total: int, unit: str) -> Iterable[Any]:
    return items


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_expected_pixels_and_errors_are_sums_over_pixels(dtype: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    store = write_round(tmp_path, [make_probs(rng, size, 3, (0, 2)) for size in SIZES], dtype=dtype)
    evidence = read_evidence(store, workers=2, progress=silent)
    assert list(evidence.image_ids) == sorted(store.image_ids)
    for place, image_id in enumerate(evidence.image_ids):
        index = store.image_ids.index(image_id)
        prediction, confidence = store.prediction(index).ravel(), store.confidence(index).ravel().astype(np.float64)
        right = [confidence[prediction == label].sum() for label in range(3)]
        # Of float32, the counts know the first bits alone.
        tolerance = 1e-12 if dtype == "float16" else 0.01
        assert evidence.right[place].tolist() == pytest.approx(right, rel=tolerance)
        assert evidence.predicted[place].tolist() == [int((prediction == label).sum()) for label in range(3)]
        assert evidence.pixels[place] == prediction.size
        assert evidence.errors[place] == pytest.approx(evidence.pixels[place] - evidence.right[place].sum())


@pytest.mark.parametrize("shard_mib", [0.01, 0.05, 64.0])
@pytest.mark.parametrize("workers", [1, 4])
def test_workers_and_shards_change_no_bit(shard_mib: float, workers: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    probs = [make_probs(rng, size, 3, (0, 1, 2)) for size in SIZES]
    expected = read_evidence(write_round(tmp_path / "a", probs), workers=1, progress=silent)
    found = read_evidence(write_round(tmp_path / "b", probs, shard_mib=shard_mib), workers=workers, progress=silent)
    assert found.right.tobytes() == expected.right.tobytes()
    assert found.errors.tobytes() == expected.errors.tobytes()


class Counted:
    """Stands for a store of many images, a shard each."""

    def __init__(self, images: int) -> None:
        self.precision = precision_of("float16", 8)
        self.image_ids = [f"image_{index}" for index in range(images)]
        self.shards = [range(index, index + 1) for index in range(images)]

    def counts_of(self, rows: range) -> np.ndarray:
        return np.full((len(rows), 8, self.precision.num_columns), rows.start, np.uint32)


def test_memory_is_that_of_a_shard_and_a_few_numbers_an_image() -> None:
    def peak(images: int) -> int:
        tracemalloc.start()
        read_evidence(cast("ConfidenceStore", Counted(images)), workers=1, progress=silent)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(5)
    few, many = peak(20), peak(320)
    counts = 8 * precision_of("float16", 8).num_columns * 4
    assert (many - few) / 300 < 1000 < counts / 90
