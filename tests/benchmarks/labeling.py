"""From a softmax store to pseudo labels: solve and sample, against other ways and against the physical limit."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from PIL import Image

from pipeline.machine.parallel import map_ordered
from pipeline.samples.images import write_label_png
from pipeline.softmax_store.confidences import link_confidences
from pipeline.softmax_store.reader import ConfidenceStore, SoftmaxStore
from stages.sample_labels import main as sample_labels
from stages.solve_thresholds import main as solve_thresholds
from tests.benchmarks.maps import write_maps, write_store
from tests.benchmarks.measure import Cost, measure
from tests.benchmarks.references import release, sorting
from tests.benchmarks.table import Row
from tests.workspace import change_params

SIZE = (512, 1024)

_REPEAT = 6
"""Times that what takes a fifth of a second is run: one run of it alone varies by a fifth and more."""


def labeling(folder: Path, count: int) -> Iterator[Row]:
    """Compare at `count` images of 512x1024x19."""
    write_maps(folder / "maps", count, *SIZE)
    work = folder / "store"
    store = write_store(work, count, *SIZE, floor=0.0)
    what = f"{count} x 512x1024x19"
    by_release = measure(release, folder / "maps", folder / "release", repeat=2)
    by_sorting = measure(sorting, folder / "maps", folder / "sorting", repeat=2)
    shutil.rmtree(folder / "maps")
    for workers in (1, 2):
        change_params(work, {"runtime.workers": workers})
        both = measure(solve_and_sample, work, store, repeat=_REPEAT)
        limit = measure(read_and_encode, work, workers, repeat=_REPEAT)
        sampling = measure(sample, work, repeat=_REPEAT)
        name = f"solve + sample + PNG, {workers} worker{'s' * (workers > 1)}"
        yield Row(name, what, both, "the release's way", by_release)
        yield Row(name, what, both, "sorting with numpy", by_sorting)
        yield Row(f"sample + PNG, {workers} worker{'s' * (workers > 1)}", what, sampling, "reading 3 B/pixel + encoding", limit)
    solving = measure(solve, work, repeat=_REPEAT)
    yield Row("solve another alpha or method", what, solving, "all of sample + PNG", sampling)
    yield Row("solve another alpha, per image", "512x1024x19", Cost(solving.seconds / count, solving.peak))


def solve_and_sample(work: Path, store: Path) -> Callable[[], None]:
    """Do what the stages `calibrate` (none), `solve_thresholds` and `sample_labels` do."""
    steps = (solve(work), sample(work))

    def both() -> None:
        shutil.rmtree(work / "confidences.zarr", ignore_errors=True)
        link_confidences(work / "confidences.zarr", SoftmaxStore(store))
        for step in steps:
            step()

    return both


def solve(work: Path) -> Callable[[], None]:
    """Run the stage `solve_thresholds`."""
    arguments = ("--confidences", "confidences.zarr", "--priors", "class_priors.json", "--selection", "selection.json")
    return lambda: _run(solve_thresholds, work, *arguments)


def sample(work: Path) -> Callable[[], None]:
    """Run the stage `sample_labels`."""
    inputs = ("--catalog", "catalog.json", "--confidences", "confidences.zarr", "--selection", "selection.json")
    return lambda: _run(sample_labels, work, *inputs, "--pseudo-labels", "pseudo_labels")


def read_and_encode(work: Path, workers: int) -> Callable[[], None]:
    """Read what sampling reads and encode what it writes, and decide nothing."""
    store = ConfidenceStore(work / "confidences.zarr")
    out = work / "encoded"
    out.mkdir(exist_ok=True)
    colors = [(index, index, index) for index in range(store.num_classes)]
    labels = [np.asarray(Image.open(work / "pseudo_labels" / f"{image_id}.png")) for image_id in store.image_ids]

    def one(rows: range) -> None:
        for index, _ in zip(rows, store.pixels_of(rows), strict=True):
            write_label_png(out / f"{store.image_ids[index]}.png", labels[index], colors)

    def both() -> None:
        for _ in map_ordered(one, store.shards, workers=workers):
            pass

    return both


def _run(main: click.Command, work: Path, *arguments: str) -> None:
    before = Path.cwd()
    os.chdir(work)
    try:
        main(["--round", "1", *arguments], standalone_mode=False)
    finally:
        os.chdir(before)
