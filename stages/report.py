"""Stage `report`: one page about the experiment, for a person to read."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, echo, stage_command


@click.command()
@click.option("--prepared", type=EXISTING, required=True, help="Folder that `prepare` wrote.")
@click.option("--rounds", type=EXISTING, required=True, help="Folder with a folder per round.")
@click.option("--tables", type=EXISTING, required=True, help="Folder with tables of other experiments.")
@click.option("--suggestions", type=EXISTING, required=True, help="Folder with tables of images to label next.")
@click.option("--out", type=NEW, required=True, help="Folder to write index.html to.")
@stage_command
def main(params: Params, prepared: Path, rounds: Path, tables: Path, suggestions: Path, out: Path) -> None:
    """Write the report; a browser needs no network to show it."""
    from pipeline.files import atomic_path
    from pipeline.report.findings import summary
    from pipeline.report.page import build_page
    from pipeline.report.record import read_experiment

    settings = params.model_dump(mode="json", exclude={"runtime"})
    experiment = read_experiment(prepared, rounds, list(params.rounds), params.evaluation)
    shown = params.evaluation.examples
    page = build_page(experiment, settings, tables=tables, suggestions=suggestions, pictures=shown)
    with atomic_path(out) as folder:
        folder.mkdir()
        (folder / "index.html").write_text(page, encoding="utf-8")
    echo(*summary(experiment), f"the whole page: {out / 'index.html'}")


if __name__ == "__main__":
    main()
