"""The training curve: a row per window of steps, as tab-separated values that `dvc plots` reads."""

from pathlib import Path
from typing import NamedTuple

from pipeline.files import write_text


class Row(NamedTuple):
    """Means over the steps since the row before."""

    step: int
    """Steps done."""
    loss_labeled: float
    """Mean cross entropy of labeled crops, auxiliary head included."""
    loss_unlabeled: float
    """The same of pseudo-labeled crops; 0 without any."""
    learning_rate: float
    """Of the backbone, at the last step."""


def write_curve(path: Path, rows: list[Row]) -> None:
    """Write the curve, whole or not at all."""
    lines = ["\t".join(Row._fields), *("\t".join(format(value, ".9g") for value in row) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")
