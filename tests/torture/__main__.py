"""Command `python -m tests.torture`: torture a tiny experiment and print what came of it."""

import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.torture.campaign import PARTS, parts, run_part
from tests.torture.experiment import build_experiment, preload
from tests.torture.table import document, failures, to_markdown


@click.command()
@click.option("--kills", default=200, show_default=True, help="Kills; one in ten is of `dvc repro`.")
@click.option("--damage", default=600, show_default=True, help="Damaged inputs.")
@click.option("--faults", default=192, show_default=True, help="Faults of the machine; so many are each fault with each stage.")
@click.option("--races", default=48, show_default=True, help="Stages that run twice at once or beside `make clean`.")
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="One part; may be given several times.")
@click.option("--number", "numbers", multiple=True, type=int, help="One trial of that part, as a line of failures names it.")
@click.option("--seed", default=0, show_default=True, help="Of everything that is drawn.")
@click.option("--jobs", default=2, show_default=True, help="Copies of the experiment that are tortured at once.")
@click.option("--minutes", default=240.0, show_default=True, help="No trial begins later.")
@click.option("--write", type=click.Path(path_type=Path, exists=True), help="Document whose tables are replaced.")
def main(
    kills: int, damage: int, faults: int, races: int, only: tuple[str, ...], numbers: tuple[int, ...],
    seed: int, jobs: int, minutes: float, write: Path | None,
) -> None:  # fmt: skip
    """Kill, damage and starve a tiny experiment; exit code 1 where it ended with other bytes, no clear line or not at all."""
    begun = time.monotonic()
    for name in [name for name in os.environ if name.startswith(("DVC_", "GIT_"))]:
        del os.environ[name]
    wanted = parts(kills=kills, damage=damage, faults=faults, races=races)
    wanted = {name: part for name, part in wanted.items() if name in (only or PARTS)}
    preload()
    results = {}
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        click.echo("the reference ...", err=True)
        experiment = build_experiment(Path(folder).resolve(), with_dvc=any(part.with_dvc for part in wanted.values()))
        for name, part in wanted.items():
            click.echo(f"{name}: {len(numbers) or part.trials} trials ...", err=True)
            until = begun + 60.0 * minutes
            results[name] = run_part(part, experiment, seed=seed, jobs=jobs, numbers=numbers or None, until=until)
    broken = failures(results, seed)
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    length = f"{(time.monotonic() - begun) / 60.0:.0f} minutes with `--jobs {jobs}` on {machine}"
    tables = [to_markdown(wanted[name], numbered) for name, numbered in results.items() if numbered]
    text = "\n\n".join([f"Source: `python -m tests.torture {' '.join(sys.argv[1:])}`, {length}.", *tables])
    click.echo(text)
    if write:
        write.write_text(document(write.read_text(), text))
    click.echo("\n".join(["", *broken, f"{len(broken)} broken promises"]))
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
