"""A million images without pixels: the counts and sizes of a store, simulated, through solving and through the dealing of quotas.

Time is that of the processor, since hours of it are seldom had alone.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.draw_round import deal_quotas
from pipeline.labeling.pseudo_labels import count_drawable
from pipeline.labeling.sampling import draw_quotas
from pipeline.labeling.solve import solve_class_thresholds
from pipeline.machine.process_group import ProcessGroup
from pipeline.samples.sample_lists import Sample, read_samples, write_samples
from pipeline.selection import Selection
from pipeline.softmax_store.arrays import CONFIDENCE_ARRAYS, create_confidence_arrays, get_array
from pipeline.softmax_store.location import seal_group
from pipeline.softmax_store.quantized_map import Precision, precision_of
from pipeline.softmax_store.reader import CONFIDENCE_FORMAT_NAME, ConfidenceStore
from pipeline.softmax_store.writer import FORMAT_VERSION
from tests.benchmarks.measure import measure
from tests.benchmarks.table import Row

SIZE = (1024, 2048)
CLASSES = (19, 150)
ALPHA = 0.2
SELECTION = "selection.json"
PER_SHARD = 16
DIFFERENT = 4
"""Shards that differ; a store repeats them, as links to one file."""
MOST_CELLS = 1_000_000 * 19
"""Images times classes up to which counts are read: time per image and memory are then known not to grow."""


def million(folder: Path, counts: tuple[int, ...], classes: tuple[int, ...] = CLASSES) -> Iterator[Row]:
    """Solve for and deal out `counts` images, which have each number of `classes`."""
    for count in counts:
        yield Row("read a sample list", f"{count:,}", measure(read_list, folder, count, clock=time.process_time))
    for num_classes in classes:
        for count in counts:
            what = f"{count:,} x {num_classes}"
            if count * num_classes <= MOST_CELLS:
                path = write_counts(folder / f"{count}-{num_classes}", count, num_classes)
                yield Row("open the store", what, measure(open_store, path, clock=time.process_time))
                yield Row("add up counts, solve", what, measure(solve, path, clock=time.process_time))
                yield Row("count what stands in the draw, draw quotas", what, measure(deal, path, clock=time.process_time))
            yield Row("draw quotas", what, measure(draw, count, num_classes, clock=time.process_time))


def class_shares(num_classes: int) -> NDArray[np.float64]:
    """Return (C,) shares with a long tail, which sum to 1."""
    ranks = np.arange(1, num_classes + 1, dtype=np.float64)
    shares: NDArray[np.float64] = ranks**-1.5 / (ranks**-1.5).sum()
    return shares


def image_counts(index: int, precision: Precision, num_classes: int) -> NDArray[np.uint32]:
    """Return the counts of one image, (C, B) uint32, a function of the arguments alone.

    Its class shares are Dirichlet draws around a long tail, so most classes are absent; of those that are there, half of the
    pixels have the confidence 1 and the others less by an exponential draw, the rarer the class, the less.
    """
    rng = np.random.default_rng(index)
    values = precision.values.astype(np.float64)
    widths = np.diff(values, prepend=0.0)
    counts = np.zeros((num_classes, len(values)), np.uint32)
    pixels = rng.multinomial(SIZE[0] * SIZE[1], rng.dirichlet(8.0 * class_shares(num_classes) + 1e-3))
    for label in np.flatnonzero(pixels).tolist():
        weights = widths * np.exp((values - 1.0) / (0.05 + 0.3 * label / num_classes))
        weights[-1] = weights.sum()
        counts[label] = rng.multinomial(pixels[label], weights / weights.sum())
    return counts


def write_counts(path: Path, count: int, num_classes: int) -> Path:
    """Write a confidence store of `count` images that lacks their pixels; return it."""
    group = zarr.open_group(path, mode="w-", zarr_format=3)
    image_ids = [f"image_{index:07}" for index in range(count)]
    names = {"image_ids": image_ids, "class_names": [f"class_{label}" for label in range(num_classes)]}
    group.attrs.update({"format": CONFIDENCE_FORMAT_NAME, "version": FORMAT_VERSION, **names, "dtype": "float16"})
    create_confidence_arrays(group, (count, num_classes, *SIZE), "float16", PER_SHARD, SIZE)
    seal_group(group, path, None, CONFIDENCE_ARRAYS)
    precision = precision_of("float16", num_classes)
    for shard, start in enumerate(range(0, count, PER_SHARD)):
        rows = range(start, min(start + PER_SHARD, count))
        files = [path / "confidence_counts/c" / str(shard) / "0/0", path / "size/c" / str(shard) / "0"]
        if shard >= DIFFERENT and len(rows) == PER_SHARD:
            for file in files:
                file.parent.mkdir(parents=True)
                place = file.relative_to(path).parts
                os.link(path.joinpath(*place[:2], str(shard % DIFFERENT), *place[3:]), file)
            continue
        entries = [image_counts(row % (DIFFERENT * PER_SHARD), precision, num_classes) for row in rows]
        get_array(group, "confidence_counts")[rows.start : rows.stop] = np.stack(entries)
        get_array(group, "size")[rows.start : rows.stop] = np.full((len(rows), 2), SIZE, np.int32)
    return path


def selection_of(counts: NDArray[np.int64], precision: Precision) -> Selection:
    """Solve as `dars` does for counts of all images, (C, B)."""
    shares = class_shares(len(counts))
    problem = Problem(counts, precision.values, shares, ALPHA, equal_pixels=False, st_confidence=None, thin="all")
    return solve_class_thresholds("dars", problem, class_names=[f"class_{label}" for label in range(len(counts))])


def open_store(path: Path) -> Callable[[], object]:
    """Open a store."""
    return lambda: ConfidenceStore(path)


def solve(path: Path) -> Callable[[], object]:
    """Add up the counts of an open store on one thread, solve, and write the selection."""
    store = ConfidenceStore(path)
    return lambda: selection_of(store.total_counts(), store.precision).write(path / SELECTION)


def deal(path: Path) -> Callable[[], object]:
    """Deal out the quotas of all images of an open store on one thread, by the selection that `solve` has written."""
    store, selection = ConfidenceStore(path), Selection.read(path / SELECTION)
    return lambda: deal_quotas(store, selection, seed=0, round_key="1", group=ProcessGroup(0, 1), workers=1)


def draw(count: int, num_classes: int) -> Callable[[], object]:
    """Draw the quotas of images whose counts are at hand."""
    precision = precision_of("float16", num_classes)
    images = np.stack([image_counts(index, precision, num_classes) for index in range(DIFFERENT * PER_SHARD)])
    repeated = np.arange(count) % len(images)
    times = np.bincount(repeated, minlength=len(images))
    selection = selection_of(np.tensordot(times, images.astype(np.int64), 1), precision)
    drawable = count_drawable(images, precision.values, selection)[repeated]
    return lambda: draw_quotas(drawable, selection.draws, seed=0, round_key="1")


def read_list(folder: Path, count: int) -> Callable[[], object]:
    """Read a list of unlabeled samples."""
    path = folder / f"{count}.tsv"
    names = (f"aachen_{index:07}_000019_leftImg8bit" for index in range(count))
    write_samples(path, (Sample(name, *SIZE, Path(f"data/raw/images/{name}.png"), "ab" * 32) for name in names))
    return lambda: read_samples(path, labels=False)
