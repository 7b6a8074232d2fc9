"""The training curve: a row per window of steps, as tab-separated values that `dvc plots` reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.files import write_text
from pipeline.seal import broken_seal, open_text, seal_text


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
    """Write the curve of a finished training, whole or not at all; its last line is the sha256 of the others."""
    write_text(path, seal_text(_table(rows)))


def begin_curve(path: Path, rows: Sequence[CurveRow]) -> None:
    """Write a curve that `append_row` goes on with."""
    write_text(path, _table(rows))


def append_row(path: Path, row: CurveRow) -> None:
    """Add a row to a curve on disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(row))


def read_curve(path: Path) -> tuple[CurveRow, ...]:
    """Read what `write_curve` wrote.

    Raises:
        ValueError: the file is missing, damaged, or is no curve.
    """
    try:
        content, whole = open_text(path.read_bytes())
        head, *rows = (line.split("\t") for line in content.decode().splitlines())
        if tuple(head) != CurveRow._fields:
            raise ValueError(f"the columns {', '.join(head)}")  # noqa: TRY301 - one door for all
        curve = tuple(CurveRow(int(row[0]), *map(float, row[1:])) for row in rows)
    except FileNotFoundError as error:
        raise ValueError(f"{path} - expected a training curve - {error.strerror} - run the stage that trains") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} - expected a training curve - found {error!r} - run the stage that trains") from error
    if not whole:
        raise broken_seal(path, stage="pretrain or train_student")
    return curve


def _table(rows: Sequence[CurveRow]) -> str:
    return "\t".join(CurveRow._fields) + "\n" + "".join(map(_line, rows))


def _line(row: CurveRow) -> str:
    return "\t".join(format(value, ".9g") for value in row) + "\n"
