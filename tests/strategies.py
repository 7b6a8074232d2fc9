"""Hypothesis strategies: softmax maps with heavy ties and absent classes, labeling ratios, class priors."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

CONFIDENCES = (0.5, 0.625, 0.7998046875, 0.96, 0.9604492188, 0.99951171875, 1.0)
"""A handful of values, most of them float16 ones, so that many pixels tie; .96 is rounded when it is stored."""

NUM_VALUES = 0x3C00 + 1
"""Float16 values in [0, 1]: the bit patterns 0x0000 (0.0) to 0x3C00 (1.0), in the order of their values."""

FLOAT16_VALUES = np.arange(NUM_VALUES, dtype=np.uint16).view(np.float16)
"""(15361,) ascending. The columns of any float16 counts are the last of these."""


@dataclass(frozen=True)
class Maps:
    """The softmax maps of a few images, and what a person would say about their pixels.

    Attributes:
        probs: (C, H, W) float32 per image.
        num_classes: C.
    """

    probs: tuple[NDArray[np.float32], ...]
    num_classes: int

    @property
    def image_ids(self) -> tuple[str, ...]:
        return tuple(f"image_{index}" for index in range(len(self.probs)))

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(f"class_{index}" for index in range(self.num_classes))

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        return tuple((int(probs.shape[1]), int(probs.shape[2])) for probs in self.probs)

    def pixels(self, index: int) -> list[tuple[int, float]]:
        """Class and confidence of every pixel of an image, in row order: arg max and maximum of the float16 values."""
        stored = self.probs[index].reshape(self.num_classes, -1).astype(np.float16).astype(float).T.tolist()
        return [(values.index(max(values)), max(values)) for values in stored]

    def by_class(self) -> list[list[float]]:
        """The confidences of all pixels predicted as each class."""
        result: list[list[float]] = [[] for _ in range(self.num_classes)]
        for index in range(len(self.probs)):
            for label, confidence in self.pixels(index):
                result[label].append(confidence)
        return result


def make_probs(
    rng: np.random.Generator, size: tuple[int, int], num_classes: int, present: tuple[int, ...]
) -> NDArray[np.float32]:
    """A map whose pixels are predicted as one of the `present` classes, at one of `CONFIDENCES`."""
    count = size[0] * size[1]
    winner = rng.choice(np.array(present), size=count)
    confidence = rng.choice(np.array(CONFIDENCES), size=count)
    probs = np.tile((1 - confidence) / (num_classes - 1), (num_classes, 1))
    probs[winner, np.arange(count)] = confidence
    return probs.astype(np.float32).reshape(num_classes, *size)


@st.composite
def softmax_maps(draw: st.DrawFn, *, max_side: int = 7) -> Maps:
    """One to four images of 1x1 up to `max_side` squared, some classes never predicted."""
    num_classes = draw(st.integers(2, 5))
    present = tuple(sorted(draw(st.sets(st.integers(0, num_classes - 1), min_size=1))))
    side = st.integers(1, max_side)
    sizes = draw(st.lists(st.one_of(st.just((1, 1)), st.tuples(side, side)), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Maps(tuple(make_probs(rng, size, num_classes, present) for size in sizes), num_classes)


def labeling_ratios() -> st.SearchStrategy[float]:
    """In (0, 1], with 1 and the paper's values often."""
    return st.one_of(st.sampled_from((0.2, 0.4, 0.5, 1.0)), st.floats(0.0, 1.0, exclude_min=True, allow_subnormal=False))


@st.composite
def class_priors(draw: st.DrawFn, num_classes: int) -> NDArray[np.float64]:
    """(C,), sums to 1 up to rounding, zeros among them."""
    weights = draw(st.lists(st.integers(0, 1000), min_size=num_classes, max_size=num_classes).filter(any))
    return np.array(weights, np.int64) / sum(weights)
