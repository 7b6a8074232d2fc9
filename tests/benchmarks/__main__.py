"""Command `python -m tests.benchmarks`: run benchmarks and print their table."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from tests.benchmarks.calibration import calibration
from tests.benchmarks.export import export
from tests.benchmarks.growth import growth
from tests.benchmarks.inference import inference
from tests.benchmarks.integrity import integrity
from tests.benchmarks.labeling import labeling
from tests.benchmarks.large import LARGE_SIZES, large
from tests.benchmarks.measure import machine
from tests.benchmarks.million import million
from tests.benchmarks.overhead import overhead
from tests.benchmarks.photo import photo
from tests.benchmarks.pictures import pictures
from tests.benchmarks.sizes import sizes
from tests.benchmarks.startup import startup
from tests.benchmarks.table import Row, to_markdown
from tests.benchmarks.training import feeding, training

BENCHMARKS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "labeling": lambda folder: labeling(folder, 20),
    "calibration": calibration,
    "inference": lambda folder: inference(folder, 4, 256, 512, network="resnet50"),
    "export": lambda folder: export(folder, 4, 256, 512),
    "training": lambda folder: training(folder, 300, network="small"),
    "photo": lambda folder: photo(folder, 20),
    "pictures": lambda folder: pictures(folder, 8),
    "feeding": lambda folder: feeding(folder, 24),
    "overhead": overhead,
    "startup": startup,
    "integrity": integrity,
}
LONG: dict[str, Callable[[Path], Iterator[Row]]] = {
    "growth": lambda folder: growth(folder, (50, 100, 200, 400), 512, 1024),
    "large": lambda folder: large(folder, LARGE_SIZES),
    "growth-large": lambda folder: growth(folder, (25, 50), 1024, 2048),
    "million": lambda folder: million(folder, (10_000, 100_000, 1_000_000)),
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*BENCHMARKS, *LONG, "sizes"]))
def main(names: tuple[str, ...]) -> None:
    """Run the benchmarks NAMES; without one, all but the long ones."""
    rows: list[Row] = []
    lines: list[str] = []
    for name in names or (*BENCHMARKS, "sizes"):
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            click.echo(f"{name} ...", err=True)
            if name == "sizes":
                lines += sizes(Path(folder))
            else:
                rows += ({**BENCHMARKS, **LONG})[name](Path(folder))
    click.echo(f"{machine()}\n")
    if rows:
        click.echo(f"Ratio: how many times as long as this the other takes.\n\n{to_markdown(rows)}")
    for line in lines:
        click.echo(f"- {line}")


if __name__ == "__main__":
    main()
