"""Command `table`: the finished experiments of a setting as a table over seeds, printed and written as Markdown, CSV and JSON."""

from pathlib import Path

import click

from stages.command import EXISTING, NEW, echo, one_line_errors


@click.command()
@click.argument("name")
@click.option("--on", metavar="SETTING", help="The setting that the experiments were started from, as given to `experiment`.")
@click.option("--control", metavar="RUN", help="Hold all runs against this one; the files are NAME-over-RUN.")
@click.option("--settings", type=EXISTING, default="data/settings", show_default=True, help="Folder of the settings.")
@click.option("--out", type=NEW, default="data/tables", show_default=True, help="Folder for NAME.md, NAME.csv and NAME.json.")
@one_line_errors
def main(name: str, on: str | None, control: str | None, settings: Path, out: Path) -> None:
    """Tabulate the finished experiments of the setting NAME: means and deviations over seeds, gains and their intervals."""
    from pipeline.experiments.compare import compare_finished, write_table
    from pipeline.experiments.experiment import experiment_name
    from pipeline.experiments.settings import read_setting

    key = experiment_name(name, on)
    found = compare_finished(key, read_setting(settings, name, on=on), control=control)
    click.echo(write_table(found, out), nl=False)
    echo(f"written to {out}/{found.name}.md, .csv and .json")


if __name__ == "__main__":
    main()
