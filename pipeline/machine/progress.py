"""How long work shows itself: a room takes the bar of whoever calls it and prints nothing."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Shows the items of a work as they pass."""

    def __call__(self, items: Iterable[Item], /, *, total: int, unit: str) -> Iterable[Item]:
        """Return the same items.

        Args:
            items: the work, item by item.
            total: items in all.
            unit: what an item is, in the singular.
        """
