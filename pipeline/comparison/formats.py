"""A table as text for a terminal or a README (Markdown) and as CSV."""

import csv
import io
import math

from pipeline.comparison.rows import COMPARED, MEASURES, Comparison, Row, Spread
from pipeline.comparison.significance import Difference


def to_cells(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Spell a table for people: percent with deviations over seeds, differences with their intervals, KL in nats.

    Differences whose interval leaves out 0 end with a star. KL is that to the class priors and, where true labels are known, that
    to them: in domain adaptation another (Table 15 of the paper). Rows that differ in nothing but the run are one: the first
    teacher of all runs, and the first round of an iterated run.

    Returns:
        The head and the rows, all of the same length.
    """
    controls = comparison.controls[:1]
    bases = (*(f"`{control}`" for control in controls), "round 0")
    differences = [f"over {base}, {comparison.level:.0%} interval" for base in bases]
    head = ["run", "round", "seeds", "mIoU", *differences, "tail mIoU", *differences[: len(controls)]]
    head += ["labeled pixels", "of them right", "KL (smoothed)"]
    knows_truth = any(row.spreads["kl_true"] for row in comparison.rows)
    head += ["KL to the true labels (smoothed)"] if knows_truth else []
    runs = {row.run for row in comparison.rows}
    same: dict[str, list[Row]] = {}
    for row in comparison.rows:
        same.setdefault(row.model_copy(update={"run": ""}).model_dump_json(), []).append(row)
    lines = []
    for rows in same.values():
        row = rows[0]
        sharing = [other.run for other in rows]
        cells = ["all" if len(sharing) == len(runs) > 1 else ", ".join(sharing), row.round_key, str(len(row.seeds))]
        cells += [spell_percent(row.spreads["mean_iou"])]
        cells += [spell_difference(row.margins["mean_iou"])] if controls else []
        cells += [spell_difference(row.gains["mean_iou"])]
        cells += [spell_percent(row.spreads["tail_mean_iou"])]
        cells += [spell_difference(row.margins["tail_mean_iou"])] if controls else []
        cells += [spell_percent(row.spreads[name]) for name in ("coverage", "pseudo_label_accuracy")]
        cells += [_nats(row.spreads["kl"], row.spreads["smoothed_kl"])]
        cells += [_nats(row.spreads["kl_true"], row.spreads["smoothed_kl_true"])] if knows_truth else []
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
                found = differences[name]
                parts = (None, None, None) if found is None else (found.mean, found.low, found.high)
                cells += ["" if part is None else part for part in parts]
        writer.writerow(cells)
    return text.getvalue()


def spell_percent(spread: Spread | None) -> str:
    """Spell a share in percent, with its deviation over seeds; None is nothing."""
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


def spell_difference(difference: Difference | None) -> str:
    """Spell a difference of shares in points, with its interval, and a star where that leaves out 0; None is nothing."""
    if difference is None:
        return ""
    mean = f"{100 * difference.mean:+.1f}"
    if difference.low is None or difference.high is None:
        return mean
    return f"{mean} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f}){'*' if difference.is_clear else ''}"
