"""What killed stages left beside their outs: half-written files, old folders that made room."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from pipeline.files import remove_leftovers


def remove_partial_outs(root: Path) -> Iterator[str]:
    """Remove what killed processes of this machine left below `data/`; yield a line for each.

    The next run of a stage removes its own; where DVC takes its outs from the cache, none runs.

    Args:
        root: of the workspace.
    """
    mark = f".{socket.gethostname()}."
    for folder, folders, files in os.walk(root / "data"):
        for name in [*folders, *files]:
            if name.startswith(".") and name.endswith(".partial") and mark in name:
                left = Path(folder, name)
                remove_leftovers(Path(folder, name[1:].partition(mark)[0]))
                if not left.exists():
                    yield f"removed {left}, which a killed run left"
        folders[:] = [name for name in folders if not name.endswith(".zarr")]
