"""Reading and writing PNGs with all checks, beside the bare library."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.samples.images import read_image, read_label_png, write_label_png
from tests.benchmarks.maps import NUM_CLASSES, softmax_map
from tests.benchmarks.measure import measure
from tests.benchmarks.table import Row
from tests.benchmarks.training import write_images

SIZE = (1024, 2048)
COLORS = [(index, 2 * index, 255 - index) for index in range(NUM_CLASSES)]


def pictures(folder: Path, count: int) -> Iterator[Row]:
    """Compare at `count` pictures of 1024x2048."""
    source = write_images(folder / "images", 1, *SIZE)
    what = f"{count} x 1024x2048"
    for ours, bare, name, reference in (
        (write_labels, write_bare, "write pseudo-label PNGs", "Pillow alone, same settings"),
        (read_labels, read_labels_bare, "read pseudo-label PNGs", "Pillow alone"),
        (read_images, read_images_bare, "read images", "Pillow alone"),
    ):
        yield Row(name, what, measure(ours, source, count), reference, measure(bare, source, count))


def labels() -> np.ndarray:
    """Return pseudo labels like those of a first round: a fifth of the pixels, drawn at random among sure ones."""
    probs = softmax_map(0, *SIZE)
    sure = (probs.max(axis=0) > 0.9) & (np.random.default_rng(0).random(SIZE) < 0.5)
    return np.where(sure, probs.argmax(axis=0), 255).astype(np.uint8)


def write_labels(source: Path, count: int) -> Callable[[], None]:
    """Write them as the product does."""
    given = labels()
    return lambda: _repeat(count, lambda: write_label_png(source / "ours.png", given, COLORS))


def write_bare(source: Path, count: int) -> Callable[[], None]:
    """Write the same picture with Pillow."""
    picture = Image.fromarray(labels(), mode="P")
    picture.putpalette([value for color in COLORS for value in color])
    return lambda: _repeat(count, lambda: picture.save(source / "bare.png", compress_level=1))


def read_labels(source: Path, count: int) -> Callable[[], None]:
    """Read one back, checked."""
    write_label_png(source / "labels.png", labels(), COLORS)
    return lambda: _repeat(count, lambda: read_label_png(source / "labels.png", num_classes=NUM_CLASSES, size=SIZE))


def read_labels_bare(source: Path, count: int) -> Callable[[], None]:
    """Read one back."""
    write_label_png(source / "labels.png", labels(), COLORS)
    return lambda: _repeat(count, lambda: np.asarray(Image.open(source / "labels.png")))


def read_images(source: Path, count: int) -> Callable[[], None]:
    """Read an image, checked."""
    return lambda: _repeat(count, lambda: read_image(source / "0.png"))


def read_images_bare(source: Path, count: int) -> Callable[[], None]:
    """Read an image."""
    return lambda: _repeat(count, lambda: np.asarray(Image.open(source / "0.png")))


def _repeat(count: int, work: Callable[[], object]) -> None:
    for _ in range(count):
        work()
