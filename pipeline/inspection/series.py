"""Names that look like series of photographs, whose neighbors show the same."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable

_SHORTEST = 3
_NEAR = 10
"""Numbers this close may be shots of one place."""


def find_series(image_ids: Iterable[str]) -> list[list[str]]:
    """Return groups of ids that differ in their last number alone, most of these close to each other; the largest group first."""
    groups: defaultdict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for image_id in sorted(image_ids):
        if found := re.fullmatch(r"(.*?)(\d+)(\D*)", image_id):
            groups[found[1], found[3]].append((int(found[2]), image_id))
    series = []
    for numbered in groups.values():
        numbers = sorted(number for number, _ in numbered)
        near = sum(after - before <= _NEAR for before, after in itertools.pairwise(numbers))
        if len(numbers) >= _SHORTEST and 2 * near >= len(numbers) - 1:
            series.append([image_id for _, image_id in sorted(numbered)])
    return sorted(series, key=lambda group: (-len(group), group[0]))
