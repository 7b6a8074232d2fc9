"""Decoded training images, kept in memory that all loader processes share."""

import math
import mmap
import multiprocessing
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.training.training_set import TrainingSet

_BYTES_PER_PIXEL = 4
"""Three of the image, one of its labels."""


class DecodedImages:
    """Images and labels of some sets: each is decoded once if all fit, and on every read if they do not."""

    def __init__(self, sets: Sequence[TrainingSet], *, most_bytes: int) -> None:
        """Reserve the memory; pages are taken up as images are read.

        Args:
            sets: to read from.
            most_bytes: of all decoded images together; the sets are cached whole or not at all.
        """
        self._sets = sets
        ends = np.cumsum([_BYTES_PER_PIXEL * math.prod(source.size(sample)) for source in sets for sample in source.samples])
        self._first = [sum(len(source.samples) for source in sets[:part]) for part in range(len(sets))]
        self._starts = [0, *ends.tolist()]
        self._memory: mmap.mmap | None = None
        if self._starts[-1] <= most_bytes:
            # Anonymous and shared: processes forked later see the same pages, and no /dev/shm has to be large enough.
            self._memory = mmap.mmap(-1, self._starts[-1] + len(ends))
        self._lock = multiprocessing.get_context("fork").Lock()

    def read(self, part: int, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return image (H, W, 3) and labels (H, W), both uint8 and not to be written to, of one sample of set `part`."""
        source = self._sets[part]
        sample = source.samples[index]
        if self._memory is None:
            return source.read(sample)
        place = self._first[part] + index
        decoded_flag = self._starts[-1] + place
        pixels = np.frombuffer(self._memory, np.uint8, self._starts[place + 1] - self._starts[place], self._starts[place])
        height, width = source.size(sample)
        image, labels = pixels[: 3 * height * width], pixels[3 * height * width :]
        shaped = image.reshape(height, width, 3), labels.reshape(height, width)
        # Under a lock, whoever sees the flag sees the pixels as well, on any processor.
        with self._lock:
            is_decoded = self._memory[decoded_flag]
        if not is_decoded:
            # Two processes may decode the same image at the same time; they write the same bytes.
            for target, decoded in zip(shaped, source.read(sample), strict=True):
                target[...] = decoded
            with self._lock:
                self._memory[decoded_flag] = 1
        return shaped
