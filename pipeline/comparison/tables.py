"""A table as text for a terminal or a README (Markdown), as CSV and as JSON."""

import csv
import io
import json
import math
from dataclasses import asdict, replace
from pathlib import Path

from pipeline.comparison.rows import COMPARED, MEASURES, Comparison, Row, Spread
from pipeline.comparison.significance import LEVEL, Difference


def to_cells(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Spell a table for people: percent with deviations over seeds, differences of mIoU with their intervals, KL in nats.

    Differences whose interval leaves out 0 end with a star. Rows that differ in nothing but the run are one: the first teacher of
    all runs, and the first round of an iterated run.

    Returns:
        The head and the rows, all of the same length.
    """
    controls = comparison.controls[:1]
    differences = [f"over {other}, {LEVEL:.0%} interval" for other in (*(f"`{one}`" for one in controls), "round 0")]
    head = ["run", "round", "seeds", "mIoU", *differences, "tail mIoU", "labeled pixels", "of them right", "KL (smoothed)"]
    runs = {row.run for row in comparison.rows}
    same: dict[str, list[Row]] = {}
    for row in comparison.rows:
        same.setdefault(repr(replace(row, run="")), []).append(row)
    lines = []
    for rows in same.values():
        row = rows[0]
        sharing = [other.run for other in rows]
        cells = ["all" if len(sharing) == len(runs) > 1 else ", ".join(sharing), row.round_key, str(len(row.seeds))]
        cells += [_percent(row.spreads["mean_iou"])]
        cells += [_difference(row.margins["mean_iou"])] if controls else []
        cells += [_difference(row.gains["mean_iou"])]
        cells += [_percent(row.spreads[name]) for name in ("tail_mean_iou", "realized_ratio", "pseudo_label_accuracy")]
        cells += [_nats(row.spreads["kl"], row.spreads["smoothed_kl"])]
        lines.append(cells)
    return head, lines


def to_markdown(comparison: Comparison) -> str:
    """Return a Markdown table."""
    head, rows = to_cells(comparison)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def to_csv(comparison: Comparison) -> str:
    """Return a table of comma-separated values: one line per row; mIoU and ratios in [0, 1], empty where undefined."""
    head = ["run", "round", "seeds"]
    head += [f"{name}_{part}" for name in MEASURES for part in ("mean", "sd")]
    head += [f"{name}_{kind}_{part}" for kind in ("gain", "margin") for name in COMPARED for part in ("mean", "low", "high")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in comparison.rows:
        cells: list[object] = [row.run, row.round_key, " ".join(map(str, row.seeds))]
        for name in MEASURES:
            spread = row.spreads[name]
            cells += ["", ""] if spread is None else [spread.mean, "" if spread.sd is None else spread.sd]
        for differences in (row.gains, row.margins):
            for name in COMPARED:
                one = differences[name]
                parts = (None, None, None) if one is None else (one.mean, one.low, one.high)
                cells += ["" if part is None else part for part in parts]
        writer.writerow(cells)
    return text.getvalue()


def to_json(comparison: Comparison) -> dict[str, object]:
    """Return the table as a JSON tree; an infinite mean is the text "inf"."""
    tree = asdict(comparison)
    for row in tree["rows"]:
        for spread in row["spreads"].values():
            if spread is not None and math.isinf(spread["mean"]):
                spread["mean"] = "inf"
    return {**tree, "level": LEVEL}


def read_comparison(path: Path) -> Comparison:
    """Read a table that `to_json` described.

    Raises:
        ValueError: the file is not such a table.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(
            Row(
                run=row["run"],
                round_key=row["round_key"],
                seeds=tuple(row["seeds"]),
                spreads={name: one and Spread(float(one["mean"]), one["sd"]) for name, one in row["spreads"].items()},
                gains={name: one and Difference(**one) for name, one in row["gains"].items()},
                margins={name: one and Difference(**one) for name, one in row["margins"].items()},
            )
            for row in tree["rows"]
        )
        comparison = Comparison(tree["name"], tree["title"], tree["data_set"], tuple(tree["controls"]), rows)
        to_cells(comparison)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} - expected a table that `python -m stages.table` wrote - found {error!r} - write it again or delete it"
        ) from error
    return comparison


def _percent(spread: Spread | None) -> str:
    if spread is None:
        return ""
    deviation = "" if spread.sd is None else f" ± {100 * spread.sd:.1f}"
    return f"{100 * spread.mean:.1f}{deviation}"


def _nats(spread: Spread | None, smoothed: Spread | None) -> str:
    if spread is None or smoothed is None:
        return ""
    if math.isinf(spread.mean):
        return f"infinite ({_nats(smoothed, smoothed)})"
    return f"{spread.mean:.2g}" + ("" if spread.sd is None else f" ± {spread.sd:.1g}")


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return ""
    mean = f"{100 * difference.mean:+.1f}"
    if difference.low is None or difference.high is None:
        return mean
    return f"{mean} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f}){'*' if difference.is_clear else ''}"
