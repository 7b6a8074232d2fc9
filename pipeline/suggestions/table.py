"""Suggestions as a table of tab-separated values, `ROUND.tsv`, that knows which experiment it is of."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import write_text
from pipeline.seal import broken_seal, open_text, seal_text

_COLUMNS = ("image_id", "image", "score", "reason")
_COMMAND = "python -m stages.suggest"
_ORIGIN = re.compile(r"# selection ([0-9a-f]{64})")


@dataclass(frozen=True)
class Suggestion:
    """One image to label; its score is in the unit of what it is ranked by, the higher the sooner."""

    image_id: str
    image: Path
    score: float
    reason: str


def write_suggestions(path: Path, suggestions: Sequence[Suggestion], *, selection: str) -> None:
    """Write suggestions, the best first; the last lines are the sha256 of the selection that they are of, and of all before."""
    table = io.StringIO()
    writer = csv.writer(table, dialect="excel-tab", lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((each.image_id, each.image, f"{each.score:.6g}", each.reason) for each in suggestions)
    write_text(path, seal_text(f"{table.getvalue()}# selection {selection}\n"))


def read_suggestions(path: Path) -> tuple[list[Suggestion], str]:
    """Read what `write_suggestions` wrote: suggestions, the best first, and the sha256 of the selection that they are of.

    Raises:
        ValueError: the table is missing, damaged or malformed.
    """
    try:
        content, whole = open_text(path.read_bytes())
        *lines, last = content.decode().splitlines()
        origin = _ORIGIN.fullmatch(last)
        rows = csv.DictReader(lines, dialect="excel-tab", strict=True)
        found = [Suggestion(row["image_id"], Path(row["image"]), float(row["score"]), row["reason"]) for row in rows]
        if origin is None or tuple(rows.fieldnames or ()) != _COLUMNS:
            raise ValueError(f"the columns {', '.join(rows.fieldnames or ())} and the end {last[:80]}")  # noqa: TRY301 - one door
    except FileNotFoundError as error:
        raise ValueError(f"{path} - expected suggestions - {error.strerror} - run `{_COMMAND}`") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ValueError(f"{path} - expected suggestions - found {error!r} - run `{_COMMAND}` or delete it") from error
    if not whole:
        raise broken_seal(path, stage=_COMMAND)
    return found, origin[1]


def spell_suggestions(suggestions: Sequence[Suggestion]) -> str:
    """Spell suggestions for a terminal, one to a line."""
    return "\n".join(f"{place}. {each.image} - {each.reason}" for place, each in enumerate(suggestions, start=1))
