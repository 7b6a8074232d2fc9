"""The campaign as a table for people: trials by row and outcome, and a line for each failure that repeats it alone."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.torture.trial import Part, Result

Numbered = tuple[int, Result]


def to_markdown(part: Part, results: Sequence[Numbered]) -> str:
    """Return a part's table; an outcome that breaks the promise stands in bold."""
    counts: Counter[tuple[str, str]] = Counter()
    for _, result in results:
        counts[result.row, result.outcome] += result.count
    rows = list(dict.fromkeys(sorted(result.row for _, result in results)))
    good = {result.outcome: result.good for _, result in results}
    outcomes = sorted(good, key=lambda outcome: (not good[outcome], outcome))
    heads = [outcome if good[outcome] else f"**{outcome}**" for outcome in outcomes]
    lines = [["", *heads], ["---"] * (1 + len(heads))]
    lines += [[row, *(str(counts[row, outcome] or "") for outcome in outcomes)] for row in rows]
    lines.append(["all", *(str(sum(counts[row, outcome] for row in rows)) for outcome in outcomes)])
    return f"{part.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def failures(results: Mapping[str, Sequence[Numbered]], seed: int) -> list[str]:
    """Return a line for each broken promise, with the command that repeats it."""
    return [
        f"python -m tests.torture --seed {seed} --only {name} --number {number}  # {result.row}: {result.outcome} - "
        + " ".join(result.detail.split())[-600:]
        for name, numbered in results.items()
        for number, result in numbered
        if not result.good
    ]


def document(before: str, text: str) -> str:
    """Return a document with new tables: what stood below its line `Source:`, up to the end, is replaced."""
    return before[: before.index("Source: ")] + text + "\n"
