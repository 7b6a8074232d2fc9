"""Command `table`: the finished experiments of a setting as a table over seeds, printed and written as Markdown, CSV and JSON."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pipeline.comparison.rows import Comparison, Result, build_rows, measures_by_round
from pipeline.comparison.tables import to_csv, to_markdown
from pipeline.experiments.settings import Setting, read_setting
from pipeline.files import write_text
from pipeline.results.summary import Summary
from pipeline.schema import read_yaml_text
from stages.command import EXISTING, NEW, echo, one_line_errors

CONTROLS = ("none", "none-it")
"""Runs that the others are held against, where a setting has them; the second goes on for as many rounds as those iterated."""


@click.command()
@click.argument("name")
@click.option("--on", metavar="SETTING", help="The setting that the experiments were started from, as given to `experiment`.")
@click.option("--settings", type=EXISTING, default="data/settings", show_default=True, help="Folder of the settings.")
@click.option("--out", type=NEW, default="data/tables", show_default=True, help="Folder for NAME.md, NAME.csv and NAME.json.")
@one_line_errors
def main(name: str, on: str | None, settings: Path, out: Path) -> None:
    """Tabulate the finished experiments of the setting NAME: means and deviations over seeds, gains and their intervals."""
    write_table(experiment_name(name, on), read_setting(settings, name, on=on), out)


def experiment_name(name: str, on: str | None) -> str:
    """Return what the names of a setting's experiments begin with."""
    return name if on is None else f"{name}-on-{on}"


def write_table(name: str, setting: Setting, out: Path) -> None:
    """Print and write the table of a setting.

    Raises:
        ValueError: none of its experiments is finished.
    """
    results = list(_results(name, setting))
    if not results:
        raise ValueError(f"{name} - expected a finished experiment - found none - run `python -m stages.experiment {name}`")
    controls = tuple(control for control in CONTROLS if control in setting.runs)
    data_sets = ", ".join(sorted({data_set for data_set, _ in results}))
    rows = build_rows((result for _, result in results), controls=controls)
    comparison = Comparison(name=name, title=setting.title, data_set=data_sets, controls=controls, rows=tuple(rows))
    text = to_markdown(comparison)
    click.echo(f"{setting.title}\n\n{text}", nl=False)
    write_text(out / f"{name}.md", text)
    write_text(out / f"{name}.csv", to_csv(comparison))
    comparison.write(out / f"{name}.json")
    echo(f"written to {out}/{name}.md, .csv and .json")


def finished_experiments() -> dict[str, str]:
    """Return the git reference of each experiment of the current commit, by its name."""
    head = _git("rev-parse", "HEAD").strip()
    folder = f"refs/exps/{head[:2]}/{head[2:]}/"
    return {ref.removeprefix(folder): ref for ref in _git("for-each-ref", "--format=%(refname)", folder).split()}


def recorded_params(reference: str) -> dict[str, Any]:
    """Return the parameters that an experiment ran with."""
    tree: dict[str, Any] = read_yaml_text(_git("show", f"{reference}:params.yaml"), where=f"{reference}: params.yaml")
    return tree


def _results(name: str, setting: Setting) -> Iterator[tuple[str, Result]]:
    """Yield data set and figures of a setting's experiments, run by run, from the commits that DVC keeps them in."""
    experiments = finished_experiments()
    for run in setting.runs or [""]:
        # What `experiment -S` adds stands behind a plus; it makes a row of its own.
        pattern = re.compile(re.escape("-".join(filter(None, (name, run)))) + r"(\+.*?)?(-seed[0-9]+)?")
        for experiment in sorted(filter(pattern.fullmatch, experiments)):
            found = pattern.fullmatch(experiment)
            row = (run or name) + ((found and found[1]) or "")
            reference = experiments[experiment]
            params = recorded_params(reference)
            summary = Summary.model_validate_json(_git("show", f"{reference}:data/summary.json"))
            for key, values in measures_by_round(summary).items():
                yield params["data"]["name"], Result(row, key, params["seed"], values)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"git {words[0]} - expected to read an experiment - found {done.stderr.strip()[-200:]} - run it again")
    return done.stdout


if __name__ == "__main__":
    main()
