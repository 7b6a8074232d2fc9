"""Parts of a label map, as they are finished, and the map itself on disk while it grows."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class ImageError(ValueError):
    """An image cannot be read or predicted; others can."""


class Block(NamedTuple):
    """What is predicted for a rectangle of an image; of each of its pixels finally.

    Attributes:
        rows: of the image, h of them.
        columns: likewise, w of them.
        labels: (h, w) uint8 train ids.
        confidence: (h, w) float32 in [0, 1], their probability.
    """

    rows: slice
    columns: slice
    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]


Read = Callable[[slice, slice], NDArray[np.uint8]]
"""From rows and columns of an image to its pixels there: (h, w) or (h, w, 3) uint8."""


class Canvas:
    """An (H, W) uint8 map on disk, written and read in rectangles in any order. It has no name, so none outlives its process.

    Nothing of it stays in the memory of the process, as of a mapped file much would.
    """

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        """Make one of `size`, height and width, full of zeros, on the file system of `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._width = folder, size[1]
        # Without a buffer, nothing is left to be written when it is closed.
        self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - `__exit__` closes it
        self._file.truncate(size[0] * size[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def write(self, rows: slice, columns: slice, pixels: NDArray[np.uint8]) -> None:
        """Write (h, w) pixels into a rectangle."""
        try:
            for place, line in self._lines(rows, columns, pixels):
                written = 0
                while written < len(line):
                    written += os.pwrite(self._file.fileno(), line[written:].data, place + written)
        except OSError as error:
            error.filename = str(self._folder)
            raise

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return the (h, w) pixels of a rectangle."""
        pixels = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        for place, line in self._lines(rows, columns, pixels):
            line[:] = np.frombuffer(os.pread(self._file.fileno(), len(line), place), np.uint8)
        return pixels

    def _lines(self, rows: slice, columns: slice, pixels: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield where in the file each row of a rectangle begins, and its pixels."""
        for row, line in zip(range(rows.start, rows.stop), np.ascontiguousarray(pixels), strict=True):
            yield row * self._width + columns.start, line
