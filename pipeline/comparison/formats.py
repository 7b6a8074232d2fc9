"""A table as text for a terminal or a README (Markdown), as CSV and as JSON."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.comparison.rows import COMPARED, MEASURES, Row, Spread
from pipeline.comparison.significance import LEVEL, Difference

_TITLES = {
    "mean_iou": "mIoU",
    "tail_mean_iou": "tail mIoU",
    "realized_ratio": "labeled pixels",
    "kl": "KL",
    "pseudo_label_accuracy": "of them right",
}


def to_markdown(rows: Sequence[Row], *, control: str | None) -> str:
    """Return a Markdown table: percent with standard deviations over seeds, KL in nats, margins with their intervals."""
    margin = f"mIoU over `{control}`, {LEVEL:.0%} interval"
    head = ["run", "round", "seeds", *_TITLES.values(), "gain over round 0", *([margin] if control else [])]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        cells = [row.run, row.round_key, str(len(row.seeds))]
        cells += [_spread(name, row.spreads[name]) for name in MEASURES]
        cells += [_difference(row.gains["mean_iou"])]
        cells += [_difference(row.margins["mean_iou"])] if control else []
        lines.append(cells)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def to_csv(rows: Sequence[Row]) -> str:
    """Return a table of comma-separated values: one line per row; mIoU and ratios in [0, 1], empty where undefined."""
    head = ["run", "round", "seeds"]
    head += [f"{name}_{part}" for name in MEASURES for part in ("mean", "sd")]
    head += [f"{name}_{kind}_{part}" for kind in ("gain", "margin") for name in COMPARED for part in ("mean", "low", "high")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
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


def to_json(rows: Sequence[Row], *, name: str, title: str, control: str | None) -> dict[str, object]:
    """Return the table as a JSON tree; an infinite mean is the text "inf"."""
    trees = []
    for row in rows:
        tree = asdict(row)
        for spread in tree["spreads"].values():
            if spread is not None and math.isinf(spread["mean"]):
                spread["mean"] = "inf"
        trees.append(tree)
    return {"name": name, "title": title, "control": control, "level": LEVEL, "rows": trees}


def _spread(name: str, spread: Spread | None) -> str:
    if spread is None:
        return ""
    if math.isinf(spread.mean):
        return "infinite"
    if name == "kl":
        return f"{spread.mean:.3g}"
    deviation = "" if spread.sd is None else f" ± {100 * spread.sd:.1f}"
    return f"{100 * spread.mean:.1f}{deviation}"


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return ""
    mean = f"{100 * difference.mean:+.1f}"
    if difference.low is None or difference.high is None:
        return mean
    return f"{mean} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
