"""The finished experiments of a setting as a table over seeds."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.comparison.formats import to_csv, to_markdown
from pipeline.comparison.rows import Comparison, Result, build_rows, data_set_label, measures_by_round
from pipeline.experiments.finished import finished_experiments, recorded_params, recorded_summary
from pipeline.experiments.settings import Setting
from pipeline.files import write_text

CONTROLS = ("none", "none-it")
"""Runs that the others are held against, where a setting has them; the second goes on for as many rounds as those iterated."""


def compare_finished(name: str, setting: Setting, *, control: str | None = None) -> Comparison:
    """Compare the finished experiments of a setting; their names begin with `name`.

    Args:
        name: of the setting, and where it was run on another, of that.
        setting: as read.
        control: a run that all others are held against, in the place of the setting's own controls.

    Raises:
        ValueError: none is finished, or there is no such run.
    """
    if control is not None and control not in setting.runs:
        raise ValueError(f"--control - expected a run of {', '.join(setting.runs)} - found {control} - choose among them")
    results = list(_results(name, setting))
    if not results:
        raise ValueError(f"{name} - expected a finished experiment - found none - run `python -m stages.experiment {name}`")
    usual = (control,) if control else tuple(run for run in CONTROLS if run in setting.runs)
    own = {} if control else setting.controls
    shown = tuple(dict.fromkeys((*usual, *own.values())))
    controls = {run: (own[run],) if run in own else usual for run in setting.runs if run not in shown}
    data_sets = ", ".join(sorted({data_set for data_set, _ in results}))
    rows = build_rows((result for _, result in results), controls=controls)
    key = f"{name}-over-{control}" if control else name
    return Comparison(name=key, title=setting.title, data_set=data_sets, controls=shown, rows=tuple(rows))


def write_table(comparison: Comparison, folder: Path) -> str:
    """Write a table as Markdown, CSV and JSON, named by the comparison; return its text for a terminal."""
    text = to_markdown(comparison)
    write_text(folder / f"{comparison.name}.md", text)
    write_text(folder / f"{comparison.name}.csv", to_csv(comparison))
    comparison.write(folder / f"{comparison.name}.json")
    return f"{comparison.title}\n\n{text}"


def _results(name: str, setting: Setting) -> Iterator[tuple[str, Result]]:
    """Yield data set and measures of a setting's experiments, run by run and round by round."""
    experiments = finished_experiments()
    for run in setting.runs or [""]:
        # What `experiment -S` adds stands behind a plus; it makes a row of its own.
        pattern = re.compile(re.escape("-".join(filter(None, (name, run)))) + r"(\+.*?)?(-seed[0-9]+)?")
        for found in filter(None, map(pattern.fullmatch, sorted(experiments))):
            reference = experiments[found[0]]
            params = recorded_params(reference)
            for key, values in measures_by_round(recorded_summary(reference)).items():
                yield data_set_label(params["data"]), Result((run or name) + (found[1] or ""), key, params["seed"], values)
