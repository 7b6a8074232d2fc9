"""How many batches torch's loader may have under way: its processes hand them over in /dev/shm, which containers keep small."""

import os
from dataclasses import dataclass
from pathlib import Path

PREFETCH = 4
"""Batches that each process of the loader keeps ready, at most."""
_FOLDER = Path("/dev/shm")  # noqa: S108 - where Linux keeps it
_BYTES_PER_PIXEL = 20
"""Of a batch: three float32 of the image and an int64 of its labels."""


@dataclass(frozen=True)
class LoaderSize:
    """What of the loader fits.

    Attributes:
        workers: processes that read; 0: the training reads by itself.
        prefetch: batches that each of them keeps ready; 0 where there are none.
        remark: what to tell a person, "" where all the workers fit that were asked for.
    """

    workers: int
    prefetch: int
    remark: str


def fit_loader(workers: int, *, crops: int, crop_pixels: int, free: int | None) -> LoaderSize:
    """Return the loader of at most `workers` processes whose batches fit into shared memory beside the one in use.

    Fewer workers change no result. Without room for any the training is slower, but it neither hangs nor ends.

    Args:
        workers: processes that are asked for.
        crops: in a batch.
        crop_pixels: of each.
        free: bytes of shared memory that this training may take; None: as many as it likes.
    """
    batch = max(crops * crop_pixels * _BYTES_PER_PIXEL, 1)
    under_way = workers * PREFETCH if free is None else max(free // batch - 1, 0)
    fitting = min(workers, under_way)
    if fitting == workers:
        return LoaderSize(workers, min(PREFETCH, under_way // workers) if workers else 0, "")
    assert free is not None
    return LoaderSize(
        fitting,
        1 if fitting else 0,
        f"{_FOLDER} has {free / 2**20:.0f} MiB for batches of {batch / 2**20:.0f} MiB: runtime.loader_workers is {fitting} here,"
        f" not {workers}; give it more room (docker run --shm-size=2g) for speed",
    )


def free_shared_memory() -> int | None:
    """Return the bytes that are left in /dev/shm; None where the system has no such folder."""
    if not _FOLDER.exists():
        return None
    found = os.statvfs(_FOLDER)
    return found.f_bavail * found.f_frsize
