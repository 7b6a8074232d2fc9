"""Stage `summarize`: the metrics of the experiment, and tables for `dvc plots`."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, stage_command


@click.command()
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set.")
@click.option("--priors", type=EXISTING, required=True, help="Class shares of the labeled set.")
@click.option("--rounds", type=EXISTING, required=True, help="Folder with a folder per round.")
@click.option("--summary", type=NEW, required=True, help="Summary to write.")
@click.option("--plots", type=NEW, required=True, help="Folder of tables to write.")
@stage_command
def main(params: Params, catalog: Path, priors: Path, rounds: Path, summary: Path, plots: Path) -> None:
    """Summarize all rounds."""
    from pipeline.files import atomic_path
    from pipeline.results.plots import write_plots
    from pipeline.results.rounds import read_rounds
    from pipeline.results.summary import summarize
    from pipeline.samples.catalog import Catalog
    from pipeline.samples.priors import ClassPriors

    names = Catalog.read(catalog).class_names
    results = read_rounds(rounds, params.rounds, names)
    with atomic_path(plots) as folder:
        folder.mkdir()
        write_plots(folder, results, ClassPriors.read(priors).labeled(names))
    summarize(results).write(summary)


if __name__ == "__main__":
    main()
