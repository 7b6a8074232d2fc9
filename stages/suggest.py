"""Command `suggest`: which unlabeled images to label next, by what a round's pseudo labels lack."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, echo, progress, round_option, stage_command

SHOWN = 10
"""Suggestions that are printed; the table has all."""


@click.command()
@round_option
@click.option("--count", type=click.IntRange(min=1), default=20, show_default=True, help="Images to suggest.")
@click.option(
    "--scores",
    type=click.Choice(["shortfall", "uncertainty", "random"]),
    default="shortfall",
    show_default=True,
    help="shortfall: by classes that are short of their target, then by expected errors; the others are there to compare with.",
)
@click.option(
    "--apart",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Images that are so few places from a suggested one in its series wait for all others; 0 lets none wait.",
)
@click.option("--prepared", type=EXISTING, default="data/prepared", show_default=True, help="Folder that `prepare` wrote.")
@click.option("--rounds", type=EXISTING, default="data/rounds", show_default=True, help="Folder with a folder per round.")
@click.option("--out", type=NEW, default="data/suggestions", show_default=True, help="Folder for ROUND.tsv or ROUND-SCORES.tsv.")
@stage_command
def main(params: Params, round_key: str, count: int, scores: str, apart: int, prepared: Path, rounds: Path, out: Path) -> None:
    """Suggest unlabeled images to label next, the best first, from what is on disk of a round."""
    from pipeline.calibration.calibrator import CalibratorFile
    from pipeline.files import digest
    from pipeline.samples.sample_lists import read_samples
    from pipeline.selection import Selection
    from pipeline.softmax_store.reader import ConfidenceStore
    from pipeline.suggestions.suggest import suggest_images
    from pipeline.suggestions.table import spell_suggestions, write_suggestions

    params.round(round_key)
    folder = rounds / round_key
    chosen = Selection.read(folder / "selection.json")
    if CalibratorFile.read(folder / "calibrator.json").calibrator.method == "none":
        echo("the round has no calibrator: expected errors are those that the teacher expects of itself, often too few")
    found = suggest_images(
        ConfidenceStore(folder / "confidences.zarr"),
        chosen,
        labeled=read_samples(prepared / "labeled.tsv", labels=True),
        unlabeled=read_samples(prepared / "unlabeled.tsv", labels=False),
        scores=scores,
        count=count,
        apart=apart,
        seed=params.seed,
        round_key=round_key,
        workers=params.runtime.workers,
        progress=progress,
    )
    echo(*found.remarks)
    table = out / (f"{round_key}.tsv" if scores == "shortfall" else f"{round_key}-{scores}.tsv")
    write_suggestions(table, found.images, selection=digest(folder / "selection.json"))
    click.echo(spell_suggestions(found.images[:SHOWN]))
    echo(f"{len(found.images)} suggestions in {table}")


if __name__ == "__main__":
    main()
