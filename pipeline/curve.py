"""The training curve: a row per window of steps, as tab-separated values."""

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


def read_curve(path: Path) -> tuple[Row, ...]:
    """Read what `write_curve` wrote.

    Raises:
        ValueError: the file is missing or is no curve.
    """
    try:
        head, *rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
        if tuple(head) != Row._fields:
            raise ValueError(f"the columns {', '.join(head)}")  # noqa: TRY301 - one door for all
        return tuple(Row(int(row[0]), *map(float, row[1:])) for row in rows)
    except OSError as error:
        raise ValueError(f"{path} - expected a training curve - {error.strerror} - run the stage that trains") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} - expected a training curve - found {error!r} - run the stage that trains") from error
