"""How time and memory grow with the number and the size of images: they should not, per image."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.inference.quantize import quantize
from tests.benchmarks.inference import new_writer
from tests.benchmarks.labeling import solve_and_sample
from tests.benchmarks.maps import softmax_map, write_store
from tests.benchmarks.measure import Cost, measure
from tests.benchmarks.table import Row

DIFFERENT = 8
"""Maps that differ; a store repeats them."""


def growth(folder: Path, counts: tuple[int, ...], height: int, width: int) -> Iterator[Row]:
    """Build stores of `counts` images and label them; figures are per image, memory is the peak of the whole."""
    for count in counts:
        what = f"{count} x {height}x{width}x19"
        building = measure(build, folder / "built", count, height, width)
        shutil.rmtree(folder / "built")
        yield Row("quantize + compress + write, per image", what, Cost(building.seconds / count, building.peak))
        work = folder / "store"
        store = write_store(work, count, height, width, different=DIFFERENT)
        labeling = measure(solve_and_sample, work, store)
        shutil.rmtree(work)
        yield Row("solve + sample + PNG, per image", what, Cost(labeling.seconds / count, labeling.peak))


def build(folder: Path, count: int, height: int, width: int) -> Callable[[], None]:
    """Write a store, quantizing every map."""
    maps = [softmax_map(index, height, width) for index in range(DIFFERENT)]

    def work() -> None:
        writer = new_writer(folder, count, height, width, floor=1e-3)
        for shard, rows in enumerate(writer.shards):
            writer.write_shard(shard, [quantize(maps[row % DIFFERENT], floor=1e-3, dtype="float16", keep="all") for row in rows])

    return work
