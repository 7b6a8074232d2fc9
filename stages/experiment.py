"""Command `experiment`: run a setting of the paper as plain `dvc exp run` commands, one experiment for each run and seed."""

from pathlib import Path

import click

from stages.command import EXISTING, NEW, echo, one_line_errors


@click.command()
@click.argument("name", required=False)
@click.argument("runs", nargs=-1)
@click.option("--root", "roots", multiple=True, metavar="DATASET=FOLDER", help="Where a data set lies; once for each it needs.")
@click.option("--seed", "seeds", multiple=True, type=click.IntRange(min=0), help="Seed to run; repeat it for several.")
@click.option("-S", "--set-param", "extra", multiple=True, metavar="KEY=VALUE", help="One more override, as DVC takes it.")
@click.option("--on", metavar="SETTING", help="Start from this setting, not from its own: the same runs on another data set.")
@click.option("--here", is_flag=True, help="Run in this workspace, not in a temporary one: the results lie here; one run only.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Experiments to run at once.")
@click.option("--dry-run", is_flag=True, help="Print the commands and run nothing.")
@click.option("--list", "listing", is_flag=True, help="Show all settings and stop.")
@click.option("--settings", type=EXISTING, default="data/settings", show_default=True, help="Folder of the settings.")
@click.option("--tables", type=NEW, default="data/tables", show_default=True, help="Folder for the table of the results.")
@one_line_errors
def main(
    name: str | None,
    runs: tuple[str, ...],
    roots: tuple[str, ...],
    seeds: tuple[int, ...],
    extra: tuple[str, ...],
    on: str | None,
    settings: Path,
    tables: Path,
    *,
    here: bool,
    jobs: int,
    dry_run: bool,
    listing: bool,
) -> None:
    """Run the setting NAME, all of its RUNS or those named.

    Every experiment is made in a temporary workspace, so params.yaml and what lies here stay as they are (but with --here); its
    results are kept under its own name, which ends with what -S sets, for `dvc metrics diff`, `dvc exp show` and `dvc exp
    apply`. What is finished on the same data is not run again, and what was killed goes on where it stopped. At the end all
    that is finished is printed as a table and written to --tables, which the report shows.
    """
    from pipeline.experiments.compare import compare_finished, write_table
    from pipeline.experiments.experiment import drop_leftovers, experiment_name, plan_experiments
    from pipeline.experiments.finished import committed_params
    from pipeline.experiments.run import run_experiments, show_on_page, spell_commands
    from pipeline.experiments.settings import describe_settings, read_setting
    from pipeline.schema import read_yaml

    if listing or name is None:
        click.echo(describe_settings(settings))
        return
    setting = read_setting(settings, name, on=on)
    key = experiment_name(name, on)
    experiments = plan_experiments(key, setting, runs, roots=roots, seeds=seeds, extra=extra)
    if here and len(experiments) > 1:
        raise ValueError(f"--here - expected one run and one seed - found {len(experiments)} - name one, or leave --here out")
    current = read_yaml(Path("params.yaml"))
    experiments, leftovers = drop_leftovers(experiments, current, committed_params())
    echo(*leftovers)
    if dry_run:
        click.echo(spell_commands(experiments, current, here=here))
        return
    run_experiments(experiments, current, here=here, jobs=jobs, say=echo)
    click.echo(write_table(compare_finished(key, setting), tables), nl=False)
    echo(f"written to {tables}/{key}.md, .csv and .json")
    if here:
        show_on_page()


if __name__ == "__main__":
    main()
