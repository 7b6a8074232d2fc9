"""PNG files written a band of rows at a time: Pillow wants the whole picture."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.rasters.blocks import Read

_BAND_BYTES = 2**24
"""Of pixels that are there at once."""
_GRAY, _RGB, _PALETTE = 0, 2, 3
"""Color types of the format."""


def write_png(path: Path, size: tuple[int, int], read: Read, *, channels: int = 1, palette: bytes | None = None) -> None:
    """Write a picture of 8 bits.

    Args:
        path: of the file; its folder exists.
        size: height and width, 2^31 - 1 at most.
        read: from rows and columns to (h, w) uint8, for 3 channels to (h, w, 3); asked for whole rows, from top to bottom.
        channels: 1, gray or indices; 3, RGB.
        palette: RGB triples of the indices; None: gray.

    Reference:
        W3C, Portable Network Graphics (PNG) Specification, Third Edition.
    """
    height, width = size
    kind = _RGB if channels == 3 else _GRAY if palette is None else _PALETTE
    step = max(_BAND_BYTES // (channels * width), 1)
    # As `write_label_png` does: level 1 is what label maps compress best for the time.
    packer = zlib.compressobj(level=1)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)))
        if palette is not None:
            file.write(_chunk(b"PLTE", palette))
        for top in range(0, height, step):
            rows = read(slice(top, min(top + step, height)), slice(0, width))
            if packed := packer.compress(_filtered(rows)):
                file.write(_chunk(b"IDAT", packed))
        file.write(_chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b""))


def _filtered(rows: NDArray[np.uint8]) -> bytes:
    """Return the rows as the format packs them, each behind the number of its filter: colors as differences to their left."""
    flat = rows.reshape(len(rows), -1)
    lines = np.zeros((flat.shape[0], flat.shape[1] + 1), np.uint8)
    lines[:, 1:] = flat
    if rows.ndim == 3:
        lines[:, 0] = 1
        lines[:, 4:] -= flat[:, :-3]
    return lines.tobytes()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
