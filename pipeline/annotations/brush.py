"""Label Studio's brush as a list of bytes: runs of the bytes of an RGBA picture, packed bit by bit.

32 bits say how many bytes the picture has, 5 the bits of a value less one, 4 times 4 the sizes of run lengths in bits, less one.
Then blocks until the picture is full: a bit, whether one value is repeated; 2 bits, which of the sizes the length has; the
length less one; the value, or as many values as the length says.

Reference: thi.ng/umbrella, packages/rle-pack; label_studio_sdk/converter/brush.py, against which the tests hold this file.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SIZES = (3, 4, 8, 16)
"""Bits of run lengths, for writing."""
_LONGEST = 2 ** _SIZES[-1]
_VALUE = 8
"""Bits of a value."""
_CHANNELS = 4
_WIDEST = 3 + _SIZES[-1] + _VALUE
"""Bits of the longest block that is written."""


def encode_brush(region: NDArray[np.bool_]) -> list[int]:
    """Encode a region, (H, W) bool, as a picture whose four channels are 255 in it and 0 outside."""
    flat = region.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    lengths = _CHANNELS * np.diff(starts, append=flat.size)
    parts = -(-lengths // _LONGEST)
    values = np.repeat(np.where(flat[starts], 255, 0), parts)
    lasts = np.cumsum(parts) - 1
    pieces = np.full(len(values), _LONGEST)
    pieces[lasts] = lengths - (parts - 1) * _LONGEST
    kinds = np.searchsorted([2**size for size in _SIZES[:-1]], pieces)
    sizes = np.array(_SIZES)[kinds]
    blocks = (4 + kinds) << (sizes + _VALUE) | (pieces - 1) << _VALUE | values
    widths = 3 + sizes + _VALUE
    # Each block at the left of a row; what a row has beyond its block is left out.
    rows = (blocks << (_WIDEST - widths))[:, None] >> np.arange(_WIDEST - 1, -1, -1) & 1
    body = rows[np.arange(_WIDEST) < widths[:, None]].astype(np.uint8)
    header = f"{_CHANNELS * flat.size:032b}{_VALUE - 1:05b}{''.join(f'{size - 1:04b}' for size in _SIZES)}"
    packed = np.packbits(np.concatenate([np.frombuffer(header.encode(), np.uint8) - ord("0"), body]))
    return [int(byte) for byte in packed]


def decode_brush(packed: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the region of a picture that its last channel, the opacity, marks, (H, W) bool.

    Args:
        packed: bytes.
        size: height and width that it must have.

    Raises:
        ValueError: it is no such list, or a picture of another size; says what was found.
    """
    expected = _CHANNELS * size[0] * size[1]
    if not all(isinstance(byte, int) and 0 <= byte <= 255 for byte in packed):
        raise ValueError("expected run lengths as bytes - found others")
    bits = _Bits(bytes(packed))
    total, value_bits = bits.take(32), bits.take(5) + 1
    if total != expected or value_bits != _VALUE:
        raise ValueError(f"expected a brush of {expected} bytes, four for a pixel of {size} - found {total}")
    sizes = [bits.take(4) + 1 for _ in range(4)]
    picture = np.zeros(total, np.uint8)
    place = 0
    while place < total:
        repeated = bits.take(1)
        end = place + bits.take(sizes[bits.take(2)]) + 1
        if end > total:
            raise ValueError(f"expected a brush of {total} bytes - found runs of {end}")
        picture[place:end] = bits.take(_VALUE) if repeated else bits.take_bytes(end - place)
        place = end
    return picture[_CHANNELS - 1 :: _CHANNELS].reshape(size) > 0


class _Bits:
    """Bits of some bytes, read from the first on."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def take(self, count: int) -> int:
        """Return the number that the next bits spell, of 32 at most."""
        first, end = self._place // 8, self._place + count
        if end > 8 * len(self._content):
            raise ValueError("expected a whole brush - found one that ends too early")
        last = -(-end // 8)
        number = int.from_bytes(self._content[first:last], "big")
        self._place = end
        return number >> (8 * last - end) & ((1 << count) - 1)

    def take_bytes(self, count: int) -> NDArray[np.uint8]:
        """Return the next bytes, wherever among the bits they begin, (count,) uint8."""
        number = np.frombuffer(self._content, np.uint8)[self._place // 8 : -(-(self._place + 8 * count) // 8)]
        bits = np.unpackbits(number)[self._place % 8 :][: 8 * count]
        if len(bits) < 8 * count:
            raise ValueError("expected a whole brush - found one that ends too early")
        self._place += 8 * count
        return np.packbits(bits)
