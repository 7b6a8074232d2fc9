"""From metrics by run, round and seed to the rows of a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.comparison.significance import Difference, paired_difference

MEASURES: dict[str, tuple[str, ...]] = {
    "mean_iou": ("mean_iou",),
    "tail_mean_iou": ("tail_mean_iou",),
    "realized_ratio": ("pseudo_labels", "coverage"),
    "kl": ("pseudo_labels", "kl", "value"),
    "smoothed_kl": ("pseudo_labels", "kl", "smoothed"),
    "pseudo_label_accuracy": ("pseudo_labels", "accuracy"),
}
"""What a table shows, and where it stands in `metrics.json`."""
COMPARED = ("mean_iou", "tail_mean_iou")
"""Measures whose differences are tested."""


@dataclass(frozen=True)
class Result:
    """One round of one experiment.

    Attributes:
        run: name of the run, without its seed.
        round_key: of the round.
        seed: of the experiment.
        values: measures by name; None where undefined, infinite where `metrics.json` says "inf".
    """

    run: str
    round_key: str
    seed: int
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; `sd` is None below two seeds or where the mean is infinite."""

    mean: float
    sd: float | None


@dataclass(frozen=True)
class Row:
    """One run and round over all its seeds.

    Attributes:
        run: name of the run.
        round_key: of the round.
        seeds: that were measured.
        spreads: by measure; None where a seed has no value.
        gains: by compared measure, over round 0 of the same seeds; None where that is not known.
        margins: by compared measure, over a control's round of the same number; None for a control and without one.
    """

    run: str
    round_key: str
    seeds: tuple[int, ...]
    spreads: Mapping[str, Spread | None]
    gains: Mapping[str, Difference | None]
    margins: Mapping[str, Difference | None]


@dataclass(frozen=True)
class Comparison:
    """A table.

    Attributes:
        name: of the setting that made it; files are named by it.
        title: what is compared.
        data_set: name of the data set.
        controls: runs that go on with labeled images alone.
        rows: of the runs, in the setting's order.
    """

    name: str
    title: str
    data_set: str
    controls: tuple[str, ...]
    rows: tuple[Row, ...]


def read_values(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Pick the measures of a table out of a `metrics.json`; None for what it does not have."""
    values: dict[str, float | None] = {}
    for name, path in MEASURES.items():
        found: Any = metrics
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        values[name] = None if found is None else float(found)
    return values


def build_rows(results: Iterable[Result], *, controls: Sequence[str]) -> list[Row]:
    """Join the results of all seeds.

    Args:
        results: in the order in which runs and rounds shall stand in the table.
        controls: runs that go on with labeled images alone; every other run is held against the first of them that has a round of
            the same number and, where names end with changed parameters (`+alpha=0.5`), the same ending.
    """
    by_row: dict[tuple[str, str], dict[int, Result]] = {}
    for result in results:
        by_row.setdefault((result.run, result.round_key), {})[result.seed] = result
    rows = []
    for (run, key), seeds in by_row.items():
        name, plus, ending = run.partition("+")
        base = by_row.get((run, "0"), {}) if key != "0" else {}
        others = [by_row.get((control + plus + ending, key), {}) for control in controls]
        other = next(filter(None, others), {}) if key != "0" and name not in controls else {}
        rows.append(
            Row(
                run=run,
                round_key=key,
                seeds=tuple(sorted(seeds)),
                spreads={name: _spread([one.values[name] for one in seeds.values()]) for name in MEASURES},
                gains={name: _difference(name, seeds, base) for name in COMPARED},
                margins={name: _difference(name, seeds, other) for name in COMPARED},
            )
        )
    return rows


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    mean = float(np.mean(known))
    return Spread(mean, float(np.std(known, ddof=1)) if len(known) > 1 and math.isfinite(mean) else None)


def _difference(name: str, ours: Mapping[int, Result], theirs: Mapping[int, Result]) -> Difference | None:
    shared = sorted(set(ours) & set(theirs))
    pairs = [(ours[seed].values[name], theirs[seed].values[name]) for seed in shared]
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    return paired_difference([one for one, _ in known], [other for _, other in known])
