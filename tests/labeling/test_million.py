"""The benchmark of a million images, with few: what it simulates is a store, and what it measures is right."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.labeling.draw_round import deal_quotas
from pipeline.machine.process_group import ProcessGroup
from pipeline.softmax_store.reader import ConfidenceStore
from tests.benchmarks.million import DIFFERENT, PER_SHARD, SIZE, million, selection_of, write_counts

COUNT = PER_SHARD * (DIFFERENT + 2) + 3


@pytest.mark.parametrize("num_classes", [19, 150])
def test_simulated_counts_are_a_store_whose_quotas_add_up(tmp_path: Path, num_classes: int) -> None:
    store = ConfidenceStore(write_counts(tmp_path / "store", COUNT, num_classes))
    counts = store.total_counts()
    assert np.array_equal(counts, store.total_counts(workers=3))
    assert int(counts.sum()) == COUNT * SIZE[0] * SIZE[1]
    selection = selection_of(counts, store.precision)
    dealt = [
        deal_quotas(store, selection, seed=0, round_key="1", group=ProcessGroup(0, 1), workers=workers) for workers in (1, 3)
    ]
    (drawable, quotas), again = dealt
    assert drawable.shape == quotas.shape == (COUNT, num_classes)
    assert tuple(quotas.sum(axis=0).tolist()) == selection.draws
    assert (quotas <= drawable).all()
    assert np.array_equal(drawable, again[0])
    assert np.array_equal(quotas, again[1])


def test_its_rows_are_measured(tmp_path: Path) -> None:
    rows = list(million(tmp_path, (20,), classes=(3,)))
    assert [row.name for row in rows] == [
        "read a sample list",
        "open the store",
        "add up counts, solve",
        "count what stands in the draw, draw quotas",
        "draw quotas",
    ]
    assert all(row.cost.seconds > 0 for row in rows)
