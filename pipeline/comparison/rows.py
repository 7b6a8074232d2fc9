"""From the measures of experiments by run, round and seed to the rows of a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationInfo, field_validator

from pipeline.comparison.significance import LEVEL, Difference, difference_by_seed
from pipeline.results.summary import Summary
from pipeline.schema import Artifact, FloatOrInfinite, Section

MEASURES = (
    "mean_iou", "tail_mean_iou", "coverage", "kl", "smoothed_kl", "kl_true", "smoothed_kl_true", "pseudo_label_accuracy",
)  # fmt: skip
"""What a table shows of a round, as the summary of an experiment names it."""
COMPARED = ("mean_iou", "tail_mean_iou")
"""Measures whose differences are tested."""


@dataclass(frozen=True)
class Result:
    """One round of one experiment; its run is named without the seed, its values are measures by name, None where undefined."""

    run: str
    round_key: str
    seed: int
    values: Mapping[str, float | None]


def data_set_label(data: Mapping[str, object]) -> str:
    """Name the data of a section `data` of `params.yaml`: two folders of somebody's own images are two data sets."""
    return f"folder at {data['root']}" if data["name"] == "folder" else str(data["name"])


class Spread(Section):
    """Mean and sample standard deviation over seeds."""

    mean: FloatOrInfinite
    sd: float | None
    """None below two seeds or where the mean is infinite."""


class Row(Section):
    """One run and round over all its seeds."""

    run: str
    round_key: str
    seeds: tuple[int, ...]
    """That were measured."""
    spreads: dict[str, Spread | None]
    """By measure; None where a seed has no value."""
    gains: dict[str, Difference | None]
    """By compared measure, over round 0 of the same seeds; None where that is not known."""
    margins: dict[str, Difference | None]
    """By compared measure, over a control's round of the same number; None for a control and without one."""

    @field_validator("spreads", "gains", "margins")
    @classmethod
    def _has_every_measure(cls, found: dict[str, object], info: ValidationInfo) -> dict[str, object]:
        expected = MEASURES if info.field_name == "spreads" else COMPARED
        if tuple(found) != expected:
            raise ValueError(f"expected {', '.join(expected)}")
        return found


class Comparison(Artifact):
    """A table."""

    described_as = "a table of experiments"
    written_by = "python -m stages.table"

    name: str
    """Of the setting that made it; files are named by it."""
    title: str
    """What is compared."""
    data_set: str
    """Name of the data set."""
    controls: tuple[str, ...]
    """Runs that go on with labeled images alone."""
    rows: tuple[Row, ...]
    """Of the runs, in the setting's order."""
    level: float = LEVEL
    """Coverage of the confidence intervals."""


def measures_by_round(summary: Summary) -> dict[str, dict[str, float | None]]:
    """Return the measures of a table by key of the round."""
    return {key: figures.model_dump(include=set(MEASURES)) for key, figures in summary.rounds.items()}


def build_rows(results: Iterable[Result], *, controls: Mapping[str, Sequence[str]]) -> list[Row]:
    """Join the results of all seeds.

    Args:
        results: in the order in which runs and rounds shall stand in the table.
        controls: by run, the runs that it can be held against: the first of them that has a round of the same number and, where
            names end with changed parameters (`+alpha=0.5`), the same ending. A run without any, as a control, has no margin.
    """
    by_row: dict[tuple[str, str], dict[int, Result]] = {}
    for result in results:
        by_row.setdefault((result.run, result.round_key), {})[result.seed] = result
    rows = []
    for (run, key), seeds in by_row.items():
        name, plus, ending = run.partition("+")
        base = by_row.get((run, "0"), {}) if key != "0" else {}
        candidates = [by_row.get((control + plus + ending, key), {}) for control in controls.get(name, ())]
        control = next(filter(None, candidates), {}) if key != "0" else {}
        rows.append(
            Row(
                run=run,
                round_key=key,
                seeds=tuple(sorted(seeds)),
                spreads={name: spread_of([result.values[name] for result in seeds.values()]) for name in MEASURES},
                gains={name: _difference(name, seeds, base) for name in COMPARED},
                margins={name: _difference(name, seeds, control) for name in COMPARED},
            )
        )
    return rows


def spread_of(values: Sequence[float | None]) -> Spread | None:
    """Return mean and deviation of a measure by seed; None without a seed, or where one has no value."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    mean = float(np.mean(known))
    return Spread(mean=mean, sd=float(np.std(known, ddof=1)) if len(known) > 1 and math.isfinite(mean) else None)


def _difference(name: str, ours: Mapping[int, Result], theirs: Mapping[int, Result]) -> Difference | None:
    values, others = ({seed: result.values[name] for seed, result in results.items()} for results in (ours, theirs))
    return difference_by_seed(values, others)
