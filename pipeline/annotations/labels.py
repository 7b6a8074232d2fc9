"""The labels that a tool knows: the classes in colors that differ, and perhaps one for pixels that no class was chosen for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.folders.classes import choose_color
from pipeline.datasets.folders.coco import BACKGROUND
from pipeline.samples.catalog import IGNORE_INDEX, Color
from pipeline.samples.images import NO_LABEL_COLOR

IGNORED = "ignored"
"""Label of pixels without a class, where they have one."""
_BLACK = (0, 0, 0)
"""Of what nothing covers, in every tool."""


@dataclass(frozen=True)
class ToolLabels:
    """Labels of a tool, by place.

    Attributes:
        names: the first is `background`: what nothing covers, a class where the experiment has one of that name.
        colors: RGB triples, all different; the first is black.
        places: (256,) uint8, train id -> place.
        has_background: whether the experiment has a class `background`.
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    places: NDArray[np.uint8]
    has_background: bool

    def place(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Translate (H, W) uint8 train ids and `IGNORE_INDEX` into places, (H, W) uint8."""
        placed: NDArray[np.uint8] = self.places[labels]
        return placed

    def regions(self, placed: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield name and (H, W) bool of each label in (H, W) places, one region a label.

        The background is what no region covers. Where it is all there is, and a class, it is a region after all: an image
        without a region is taken for one that nobody has annotated.
        """
        there = [int(place) for place in np.unique(placed) if place]
        for place in there or [0] * self.has_background:
            yield self.names[place], placed == place


def choose_labels(class_names: Sequence[str], colors: Sequence[Color], ignored: str | None) -> ToolLabels:
    """Choose the labels for the classes of an experiment.

    Args:
        class_names: (C,).
        colors: (C,) RGB triples; kept, but for black and for colors that come twice.
        ignored: of pixels without a class: `label` gives them a label of their own, `open` leaves them uncovered; None = a label
            where `background` is a class, which open pixels would become, else open.

    Raises:
        ValueError: there are more labels than a tool can tell apart, or a class has the name of that label.
    """
    has_background = BACKGROUND in class_names
    labeled = ignored == "label" or (ignored is None and has_background)
    if labeled and IGNORED in class_names:
        raise ValueError(f"--ignored label - expected no class named {IGNORED} - found one - choose --ignored open")
    classes = [(name, color) for name, color in zip(class_names, colors, strict=True) if name != BACKGROUND]
    shown = [*classes, *([(IGNORED, NO_LABEL_COLOR)] if labeled else [])]
    if len(shown) >= IGNORE_INDEX:
        raise ValueError(f"--format - expected at most {IGNORE_INDEX - 1} labels - found {len(shown)} - merge classes")
    names = (BACKGROUND, *(name for name, _ in shown))
    places = np.zeros(256, np.uint8)
    places[: len(class_names)] = [names.index(name) for name in class_names]
    places[IGNORE_INDEX] = len(shown) if labeled else 0
    return ToolLabels(names, (_BLACK, *_apart(color for _, color in shown)), places, has_background)


def _apart(colors: Iterator[Color]) -> Iterator[Color]:
    taken = {_BLACK}
    for color in colors:
        others = (choose_color(number % 256, 256) for number in count(7 * len(taken), 37))
        chosen = color if color not in taken else next(other for other in others if other not in taken)
        taken.add(chosen)
        yield chosen
