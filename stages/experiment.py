"""Command `experiment`: run a setting of the paper as plain `dvc exp run` commands, one experiment for each run and seed."""

import shlex
import subprocess
import sys
from pathlib import Path

import click

from pipeline.experiments.settings import (
    Setting,
    Tree,
    change,
    first_difference,
    list_settings,
    merge,
    overrides,
    read_setting,
    suffix,
)
from pipeline.schema import read_yaml
from stages.command import EXISTING, NEW, echo, one_line_errors
from stages.table import experiment_name, finished_experiments, recorded_params, write_table

_DVC = (sys.executable, "-m", "dvc", "exp")


@click.command()
@click.argument("name", required=False)
@click.argument("runs", nargs=-1)
@click.option("--root", "roots", multiple=True, metavar="DATASET=FOLDER", help="Where a data set lies; once for each it needs.")
@click.option("--seed", "seeds", multiple=True, type=click.IntRange(min=0), help="Seed to run; repeat it for several.")
@click.option("-S", "--set-param", "extra", multiple=True, metavar="KEY=VALUE", help="One more override, as DVC takes it.")
@click.option("--on", metavar="SETTING", help="Start from this setting, not from its own: the same runs on another data set.")
@click.option("--here", is_flag=True, help="Run in this workspace, not in a temporary one: the results lie here; one run only.")
@click.option("--dry-run", is_flag=True, help="Print the commands and run nothing.")
@click.option("--list", "listing", is_flag=True, help="Show all settings and stop.")
@click.option("--settings", type=EXISTING, default="data/settings", show_default=True, help="Folder of the settings.")
@click.option("--tables", type=NEW, default="data/tables", show_default=True, help="Folder for the table of the results.")
@one_line_errors
def main(
    name: str | None, runs: tuple[str, ...], roots: tuple[str, ...], seeds: tuple[int, ...], extra: tuple[str, ...],
    on: str | None, settings: Path, tables: Path, *, here: bool, dry_run: bool, listing: bool,
) -> None:  # fmt: skip
    """Run the setting NAME, all of its RUNS or those named.

    Every experiment is made in a temporary workspace, so params.yaml and what lies here stay as they are (but with --here); its
    results are kept under its own name, which ends with what -S sets, for `dvc metrics diff`, `dvc exp show` and `dvc exp
    apply`. What is finished is not run again, and what was killed goes on where it stopped. At the end all that is finished is
    printed as a table and written to --tables, which the report shows.
    """
    if listing or name is None:
        for key in list_settings(settings):
            _describe(key, read_setting(settings, key))
        return
    setting = read_setting(settings, name, on=on)
    name = experiment_name(name, on)
    current: Tree = read_yaml(Path("params.yaml"))
    experiments = _experiments(name, setting, runs, _folders(name, setting, roots), seeds, suffix(extra))
    if here and len(experiments) > 1:
        raise ValueError(f"--here - expected one run and one seed - found {len(experiments)} - name one, or leave --here out")
    place = [] if here else ["--temp"]
    finished = {} if dry_run else finished_experiments()
    for key in filter(finished.get, experiments):
        _check_same(key, finished[key], change(current, experiments[key]), extra)
    for key, changes in experiments.items():
        words = [word for text in (*overrides(changes, current), *extra) for word in ("-S", text)]
        command = [*_DVC, "run", *place, "--name", key, *words]
        if dry_run:
            click.echo(shlex.join(["dvc", *command[len(_DVC) - 1 :]]))
        elif key in finished:
            echo(f"{key} is there already; `dvc exp remove {key}` to run it again")
        else:
            echo(f"running {key}")
            if code := subprocess.run(command, check=False).returncode:
                raise click.ClickException(f"{key} - expected dvc to succeed - exit code {code} - see above, then run this again")
    if not dry_run:
        write_table(name, setting, tables)


def _describe(key: str, setting: Setting) -> None:
    click.echo(f"{key}: {setting.title}")
    if setting.reference:
        click.echo(f"  {setting.reference}; in the paper: {setting.figure}")
    click.echo("".join(f"  needs --root {data_set}=FOLDER: {files}\n" for data_set, files in setting.needs.items()), nl=False)
    if setting.runs:
        click.echo(f"  runs: {', '.join(setting.runs)}")


def _folders(name: str, setting: Setting, roots: tuple[str, ...]) -> dict[str, str]:
    """Return the absolute folder of each data set: experiments in temporary workspaces see no other untracked data."""
    given = dict(text.partition("=")[::2] for text in roots)
    if missing := [data_set for data_set in setting.needs if not given.get(data_set)]:
        raise ValueError(
            f"{name} - expected --root {missing[0]}=FOLDER - found none - name the folder with {setting.needs[missing[0]]}"
        )
    if strange := [data_set for data_set in given if data_set not in setting.needs]:
        needs = ", ".join(setting.needs) or "none"
        raise ValueError(f"{name} - expected a --root for {needs} - found {strange[0]!r} - leave it out or correct the name")
    for data_set, folder in given.items():
        if not Path(folder).is_dir():
            raise ValueError(f"--root {data_set} - expected a folder - found {folder} - correct the path")
    return {data_set: str(Path(folder).resolve()) for data_set, folder in given.items()}


def _experiments(
    name: str, setting: Setting, runs: tuple[str, ...], folders: dict[str, str], seeds: tuple[int, ...], ending: str
) -> dict[str, Tree]:
    """Return what each experiment changes in `params.yaml`, by its name."""
    if unknown := [run for run in runs if run not in setting.runs]:
        raise ValueError(f"{name} - expected runs among {', '.join(setting.runs)} - found {unknown[0]} - choose among them")
    chosen = {f"{name}-{run}": setting.runs[run] for run in runs or setting.runs} or {name: {}}
    experiments: dict[str, Tree] = {}
    for key, changes in chosen.items():
        tree = merge(setting.params, changes)
        data = tree.get("data", {})
        rooted = {"root": folders.get(data.get("name", "")), "source_root": folders.get(data.get("source") or "")}
        tree = merge(tree, {"data": {field: folder for field, folder in rooted.items() if folder}})
        for seed in seeds or (None,):
            experiments[key + ending + ("" if seed is None else f"-seed{seed}")] = (
                tree if seed is None else {**tree, "seed": seed}
            )
    return experiments


def _check_same(key: str, reference: str, wanted: Tree, extra: tuple[str, ...]) -> None:
    if difference := first_difference(wanted, recorded_params(reference), extra=extra):
        raise ValueError(
            f"{key} - expected an experiment with these parameters - found {difference}"
            f" - `dvc exp remove {key}` to run it again, or commit: names are free at a new commit"
        )


if __name__ == "__main__":
    main()
