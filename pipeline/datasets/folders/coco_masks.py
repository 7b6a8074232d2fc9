"""Regions of COCO, polygons and run lengths, as label maps.

Polygons are drawn by pycocotools, so that they cover the pixels that all tools of COCO give them. Run lengths are read here: the
C code of pycocotools trusts them, and a wrong one is a write beyond its memory.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from pydantic import BaseModel, ConfigDict


class RunLengths(BaseModel):
    """Pixels by columns: a run outside, one inside, and so on; as numbers, or as the text that COCO packs them into."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    size: tuple[int, int]
    counts: list[int] | str


Segmentation = list[list[float]] | RunLengths
"""Polygons as x, y, x, y, ... in pixels from the upper left corner, their union meant; or run lengths."""


_LONGEST = 60
"""Bits of a run length."""


@dataclass(frozen=True)
class Region:
    """An annotation.

    Attributes:
        segmentation: in coordinates of the image, upright.
        below: whether it lies below all that do not.
    """

    segmentation: Segmentation
    below: bool = False


def check_segmentation(segmentation: Segmentation, size: tuple[int, int]) -> str | None:
    """Return what is wrong with a segmentation of an image of `size` (height, width): expected - found; None = nothing."""
    if isinstance(segmentation, RunLengths):
        return _check_runs(segmentation, size)
    for polygon in segmentation:
        if len(polygon) < 6 or len(polygon) % 2:
            return f"expected polygons of x and y of three points at least - found {len(polygon)} numbers"
        limit = 2 * max(size)
        if wild := [value for value in polygon if not math.isfinite(value) or abs(value) > limit]:
            return f"expected coordinates in or near the image of {size} - found {wild[0]}"
    return None


def _check_runs(lengths: RunLengths, size: tuple[int, int]) -> str | None:
    if lengths.size != size:
        return f"expected run lengths of the image's size {size} - found {lengths.size}"
    try:
        runs = _runs(lengths)
    except IndexError:
        return "expected packed run lengths - found another text"
    if min(runs, default=0) < 0 or sum(runs) != size[0] * size[1]:
        return f"expected run lengths of {size[0] * size[1]} pixels in all - found {sum(runs)}, the least {min(runs, default=0)}"
    return None


def draw_regions(regions: Sequence[tuple[int, Region]], size: tuple[int, int], *, rest: int) -> NDArray[np.uint8]:
    """Return (H, W) labels: the values of regions that `check_segmentation` has passed, later ones over earlier ones.

    Args:
        regions: value and region; those that are `below` are drawn first.
        size: height and width.
        rest: value of all other pixels.
    """
    labels = np.full(size, rest, np.uint8)
    for value, region in sorted(regions, key=lambda pair: not pair[1].below):
        labels[_pixels(region.segmentation, size)] = value
    return labels


def _pixels(segmentation: Segmentation, size: tuple[int, int]) -> NDArray[np.bool_]:
    height, width = size
    if not isinstance(segmentation, RunLengths):
        drawn = coco.merge(coco.frPyObjects(segmentation, height, width))
        segmentation = RunLengths(size=size, counts=drawn["counts"].decode("ascii"))
    runs = _runs(segmentation)
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return inside.reshape(width, height).T


def _runs(lengths: RunLengths) -> list[int]:
    """Return run lengths as numbers.

    Raises:
        IndexError: a text ends within a number, or a number has no end.

    Reference:
        cocoapi/common/maskApi.c, rleFrString: six bits to a sign, from "0" on; from the third run on, the difference to the run
        before the last is packed.
    """
    if not isinstance(lengths.counts, str):
        return lengths.counts
    codes = [ord(sign) - 48 for sign in lengths.counts]
    runs: list[int] = []
    place = 0
    while place < len(codes):
        value, shift = 0, 0
        while codes[place] & 0x20:
            value |= (codes[place] & 0x1F) << shift
            place, shift = place + 1, shift + 5
            if shift > _LONGEST:
                raise IndexError(place)
        value |= (codes[place] & 0x1F) << shift
        if codes[place] & 0x10:
            value -= 1 << (shift + 5)
        place += 1
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs
