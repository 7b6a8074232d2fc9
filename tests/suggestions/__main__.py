"""Command `python -m tests.suggestions`: are suggested images worth more than random ones and than the most uncertain ones?"""

from pathlib import Path

import click

from pipeline.files import write_text
from tests.suggestions.simulation import ARMS, Plan, simulate, to_markdown


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), required=True, help="Where finished parts are kept; one data set each."
)
@click.option("--on", default="", help="Setting to start from; none: params.yaml as it is, which is `streets`.")
@click.option("--run", default="", help="Run of that setting, where it has runs.")
@click.option("--root", "roots", multiple=True, metavar="DATASET=FOLDER", help="Where a data set lies that the setting needs.")
@click.option(
    "--seed", "seeds", multiple=True, type=click.IntRange(min=0), default=range(5), help="Seed to run; may be repeated."
)
@click.option(
    "--arm", "arms", multiple=True, type=click.Choice(ARMS[1:]), default=ARMS[1:], help="Ranking to run; may be repeated."
)
@click.option("--label", type=click.IntRange(min=1), default=8, show_default=True, help="Images to add.")
@click.option("--apart", type=click.IntRange(min=0), default=5, show_default=True, help="As of `suggest`.")
@click.option("--last-round", type=click.IntRange(0, 1), default=1, show_default=True, help="Last round to train and measure.")
@click.option("-S", "--set-param", "extra", multiple=True, metavar="KEY=VALUE", help="An override, as DVC takes it.")
def main(
    folder: Path, on: str, run: str, roots: tuple[str, ...], seeds: tuple[int, ...], arms: tuple[str, ...], label: int,
    apart: int, last_round: int, extra: tuple[str, ...],
) -> None:  # fmt: skip
    """Label images by each ranking, train again from round 0, print a table of what is finished; a killed run is gone on with."""
    plan = Plan(on=on, run=run, roots=roots, extra=extra, label=label, apart=apart, last_round=last_round)
    try:
        simulate(folder.resolve(), plan, seeds=seeds, arms=arms, say=lambda line: click.echo(line, err=True))
    except (ValueError, AssertionError) as error:
        raise click.ClickException(str(error)) from error
    text = to_markdown(folder, plan)
    write_text(folder / "table.md", text)
    click.echo(text, nl=False)


if __name__ == "__main__":
    main()
