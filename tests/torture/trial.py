"""What a trial reports, and what every part of the campaign is: so many trials, each repeatable by its number alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.torture.experiment import Bench


@dataclass(frozen=True)
class Result:
    """What came out.

    Attributes:
        row: the line of the table: a stage, an artifact, a fault.
        outcome: the column.
        good: whether the promise was kept.
        detail: what was done and what came of it.
        count: how many kills or damages it stands for.
    """

    row: str
    outcome: str
    good: bool
    detail: str = ""
    count: int = 1


@dataclass(frozen=True)
class Part:
    """A part of the campaign.

    Attributes:
        name: of `--only`.
        title: of its table.
        trials: how many.
        run: does one, given its number and a generator that depends on it and the seed alone.
        with_dvc: whether the reference must be one that DVC made.
    """

    name: str
    title: str
    trials: int
    run: Callable[[Bench, int, Random], Sequence[Result]]
    with_dvc: bool = False


def completed(bench: Bench, row: str, detail: str, outcome: str = "same bytes") -> Result:
    """Compare a finished copy with the reference."""
    if different := bench.different():
        return Result(row, "other bytes", good=False, detail=f"{detail}: {', '.join(different[:5])}")
    if left := bench.left_over():
        return Result(row, "left over", good=False, detail=f"{detail}: {', '.join(left[:5])}")
    return Result(row, outcome, good=True, detail=detail)
