"""The table that `make bench` prints."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.benchmarks.measure import Cost


@dataclass(frozen=True)
class Row:
    """What something cost, beside a reference.

    Attributes:
        name: of what was measured.
        size: of its input.
        cost: of it.
        reference: what it is held against, or "".
        reference_cost: of that.
    """

    name: str
    size: str
    cost: Cost
    reference: str = ""
    reference_cost: Cost | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as long as this the reference took; None without one."""
        return None if self.reference_cost is None else self.reference_cost.seconds / self.cost.seconds


def to_markdown(rows: Iterable[Row]) -> str:
    """Return a table; a ratio above 1 says that the reference takes longer."""
    lines = ["| what | size | time | peak memory | beside | its time | its peak | ratio |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        other = row.reference_cost
        cells = [row.name, row.size, _time(row.cost), _memory(row.cost), row.reference]
        cells += ["", "", ""] if other is None else [_time(other), _memory(other), f"{row.ratio:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _time(cost: Cost) -> str:
    return f"{1000 * cost.seconds:.1f} ms" if cost.seconds < 1 else f"{cost.seconds:.2f} s"


def _memory(cost: Cost) -> str:
    return f"{cost.mebibytes:.0f} MiB" if cost.peak else ""
