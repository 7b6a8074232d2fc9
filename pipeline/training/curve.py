"""The training curve: a row per window of steps, as tab-separated values that `dvc plots` reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.files import write_text


class CurveRow(NamedTuple):
    """Means over the steps since the row before."""

    step: int
    """Steps done."""
    loss_labeled: float
    """Mean cross entropy of labeled crops, auxiliary head included."""
    loss_unlabeled: float
    """The same of pseudo-labeled crops; 0 without any."""
    learning_rate: float
    """Of the backbone, at the last step."""


def write_curve(path: Path, rows: Sequence[CurveRow]) -> None:
    """Write the curve, whole or not at all."""
    write_text(path, "\t".join(CurveRow._fields) + "\n" + "".join(map(_line, rows)))


def append_row(path: Path, row: CurveRow) -> None:
    """Add a row to a curve on disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(row))


def _line(row: CurveRow) -> str:
    return "\t".join(format(value, ".9g") for value in row) + "\n"
