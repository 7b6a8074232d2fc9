"""What is wrong with somebody's files, told in one line."""

from collections.abc import Sequence

MOST_FAULTS = 10
"""That a line names: nobody wants to mend forty files in forty runs, nor read a line of forty."""


def tell_faults(faults: Sequence[str]) -> str:
    """Return the first of some faults whole, and of the others where each is: what stands before its first ` - `."""
    others = ", ".join(fault.partition(" - ")[0] for fault in faults[1:MOST_FAULTS])
    return f"{faults[0]}{f' (wrong too: {others})' if others else ''}"
