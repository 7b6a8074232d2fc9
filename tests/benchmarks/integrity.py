"""What it costs that every artifact is held against its checksum: reading with it, beside reading without."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from pipeline.files import digest
from pipeline.samples.images import read_image
from pipeline.samples.sample_lists import Sample, read_samples, write_samples
from pipeline.seal import open_text
from pipeline.tensor_files import read_tensors, write_tensors
from tests.benchmarks.measure import measure
from tests.benchmarks.table import Row
from tests.benchmarks.training import write_images

IMAGES = 10
LISTED = 3000
PARAMETERS = 2**23
"""Of the network; 32 MiB, a ResNet-50 with its heads has four times as many."""


def integrity(folder: Path) -> Iterator[Row]:
    """Compare images, a list and a network."""
    for ours, bare, name, size in (
        (read_checked_images, read_images, "read images against their sha256", f"{IMAGES} x 1024x2048"),
        (read_list, sum_list, "read a sample list, sealed (beside: its sha256 alone)", f"{LISTED} samples"),
        (read_sealed, read_plain, "read tensors against their sha256", f"{PARAMETERS * 4 // 2**20} MiB"),
        (write_sealed, write_plain, "write tensors with their sha256, to the disk", f"{PARAMETERS * 4 // 2**20} MiB"),
    ):
        yield Row(name, size, measure(ours, folder, repeat=3), "the same without", measure(bare, folder, repeat=3))


def read_checked_images(folder: Path) -> Callable[[], None]:
    """Read and compare."""
    path = write_images(folder / "images", 1, 1024, 2048) / "0.png"
    sha256 = digest(path)
    return lambda: _repeat(lambda: read_image(path, sha256=sha256))


def read_images(folder: Path) -> Callable[[], None]:
    """Read."""
    path = write_images(folder / "bare", 1, 1024, 2048) / "0.png"
    return lambda: _repeat(lambda: read_image(path))


def read_list(folder: Path) -> Callable[[], object]:
    """Read a list of samples."""
    path = _list(folder)
    return lambda: read_samples(path, labels=True)


def sum_list(folder: Path) -> Callable[[], object]:
    """Hold it against its sha256 and do nothing else."""
    path = _list(folder)
    return lambda: open_text(path.read_bytes())


def read_sealed(folder: Path) -> Callable[[], object]:
    """Read tensors and compare."""
    path = folder / "sealed"
    write_tensors(path, _tensors(), "a header")
    return lambda: read_tensors(path)


def read_plain(folder: Path) -> Callable[[], object]:
    """Read tensors."""
    path = folder / "plain"
    path.write_bytes(save(_tensors()))
    return lambda: load(path.read_bytes())


def write_sealed(folder: Path) -> Callable[[], object]:
    """Write tensors, their sha256, and sync."""
    tensors = _tensors()
    return lambda: write_tensors(folder / "sealed", tensors, "a header")


def write_plain(folder: Path) -> Callable[[], object]:
    """Write tensors and leave the rest to the system."""
    tensors = _tensors()
    return lambda: (folder / "plain").write_bytes(save(tensors))


def _tensors() -> dict[str, Tensor]:
    values = torch.from_numpy(np.random.default_rng(0).random(PARAMETERS, np.float32))
    return {f"layer {index}": part.contiguous() for index, part in enumerate(values.chunk(64))}


def _list(folder: Path) -> Path:
    samples = [
        Sample(f"image {index}", 9, 9, Path(f"{index}.png"), "ab" * 32, Path("l.png"), "cd" * 32) for index in range(LISTED)
    ]
    write_samples(folder / "list.tsv", samples)
    return folder / "list.tsv"


def _repeat(work: Callable[[], object]) -> None:
    for _ in range(IMAGES):
        work()
