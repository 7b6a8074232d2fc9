"""What is asked for: the size of the images, the batch, the file; and whether this environment can write it."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""Of the extra `export`; nothing else needs them."""

LARGEST_SIDE = 16_384
"""Pixels. A larger side is a slip: the features of a batch are made at once, in the memory of whoever runs the file."""

_LARGEST_BATCH = 1024


class Shape(NamedTuple):
    """Of the images that a file takes, (batch, height, width, 3)."""

    batch: int | None
    """None = any number of images."""
    height: int
    """Pixels."""
    width: int
    """Pixels."""


def plan_export(out: Path, *, model: Path, batch: str, height: int, width: int) -> Shape:
    """Check what is asked for, before anything is read or computed.

    Args:
        out: the file to write.
        model: the checkpoint to read.
        batch: `dynamic`, or a number of images.
        height: of an image, pixels.
        width: likewise.

    Raises:
        ValueError: a package is missing, a number is none that a file can have, or `out` is no place for it.
    """
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise ValueError(
            f"export - expected the packages {', '.join(PACKAGES)} - found no {', '.join(absent)}"
            " - run `pip install --requirement requirements.txt`, or install the extra `export` of pyproject.toml"
        )
    if out.suffix != ".onnx":
        raise ValueError(f"--out - expected the name of a file that ends in .onnx - found {out} - name one, such as student.onnx")
    if out.is_dir():
        raise ValueError(f"--out - expected a file to write - found the folder {out} - name a file in it, or remove it")
    if out.resolve() == model.resolve():
        raise ValueError(f"--out - expected another file than the checkpoint - found {out} for both - choose another name")
    return Shape(_read_batch(batch), _check_side("--height", height), _check_side("--width", width))


def _check_side(option: str, side: int) -> int:
    if not 1 <= side <= LARGEST_SIDE:
        raise ValueError(f"{option} - expected 1 to {LARGEST_SIDE} pixels - found {side} - give the size of the images")
    return side


def _read_batch(text: str) -> int | None:
    if text == "dynamic":
        return None
    # Not every digit of Unicode makes a number.
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _LARGEST_BATCH and len(text) < 9):
        raise ValueError(f"--batch - expected dynamic or 1 to {_LARGEST_BATCH} images - found {text[:40]} - correct it")
    return int(text)
