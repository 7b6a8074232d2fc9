"""Command `python -m tests.benchmarks`: run benchmarks and print their table."""

import importlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from tests.benchmarks.measure import machine
from tests.benchmarks.table import Row, to_markdown


def later(module: str, *arguments: Any, function: str = "", **options: Any) -> Callable[..., Iterator[Row]]:
    """Return a benchmark that is imported when it runs: `gpu` is for machines that lack what others need."""

    def run(folder: Path, **more: Any) -> Iterator[Row]:
        found = getattr(importlib.import_module(f"tests.benchmarks.{module}"), function or module)
        rows: Iterator[Row] = found(folder, *arguments, **options, **more)
        return rows

    return run


BENCHMARKS = {
    "labeling": later("labeling", 20),
    "calibration": later("calibration"),
    "inference": later("inference", 4, 256, 512, network="resnet50"),
    "export": later("export", 4, 256, 512),
    "training": later("training", 300, network="small"),
    "photo": later("photo", 20),
    "pictures": later("pictures", 8),
    "feeding": later("training", 24, function="feeding"),
    "overhead": later("overhead"),
    "startup": later("startup"),
    "integrity": later("integrity"),
}
LONG = {
    "growth": later("growth", (50, 100, 200, 400), 512, 1024),
    "large": later("large"),
    "growth-large": later("growth", (25, 50), 1024, 2048),
    "million": later("million", (10_000, 100_000, 1_000_000)),
}
PARTS = ("networks", "store", "round", "processes")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*BENCHMARKS, *LONG, "sizes", "gpu"]))
@click.option("--compile/--no-compile", "compiled", default=True, help="Whether photo and gpu measure compiled networks too.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Of gpu, only this; repeat it for several.")
@click.option("--setting", "settings", multiple=True, help="Of gpu, only the network of this setting; repeat it for several.")
@click.option("--camvid", type=click.Path(exists=True, path_type=Path), help="Where CamVid lies, for the round of gpu.")
def main(
    names: tuple[str, ...], parts: tuple[str, ...], settings: tuple[str, ...], camvid: Path | None, *, compiled: bool
) -> None:
    """Run the benchmarks NAMES; without one, all but the long ones and that of a GPU."""
    click.echo(f"{machine()}\n")
    rows: list[Row] = []
    lines: list[str] = []
    for name in names or (*BENCHMARKS, "sizes"):
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            click.echo(f"{name} ...", err=True)
            # What an earlier run has compiled would be compiled in no time.
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/compiled"
            if name == "gpu":
                from tests.benchmarks.gpu import CASES, gpu

                cases = [case for case in CASES if not settings or case.setting in settings]
                if len(cases) < len(settings):
                    raise click.UsageError(f"--setting: expected some of {', '.join(case.setting for case in CASES)}")
                # At once: what a run that is cut short has measured is there.
                for line in gpu(Path(folder), parts or PARTS, compiled=compiled, camvid=camvid, cases=cases):
                    click.echo(line)
            elif name == "sizes":
                from tests.benchmarks.sizes import sizes

                lines += sizes(Path(folder))
            else:
                rows += ({**BENCHMARKS, **LONG})[name](Path(folder), **({"compiled": compiled} if name == "photo" else {}))
    if rows:
        click.echo(f"Ratio: how many times as long as this the other takes.\n\n{to_markdown(rows)}")
    for line in lines:
        click.echo(f"- {line}")


if __name__ == "__main__":
    main()
