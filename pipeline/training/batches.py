"""Batches as a function of (seed, round, step): no number of workers and no interruption changes what a step sees."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.datasets.catalog import Catalog
from pipeline.datasets.images import read_image, read_label_png, read_labels
from pipeline.datasets.samples import Sample
from pipeline.params import AugmentationParams
from pipeline.randomness import keyed_generator
from pipeline.transforms.augment import augment


@dataclass(frozen=True)
class TrainingSet:
    """One of the sets that a batch is made of.

    Attributes:
        name: `labeled` or `unlabeled`; keys the draws.
        samples: in any fixed order.
        batch_size: crops per step.
        catalog: of the data set.
        pseudo_labels: folder of label PNGs by image id that stand in for the samples' own label files; None: use those.
    """

    name: str
    samples: Sequence[Sample]
    batch_size: int
    catalog: Catalog
    pseudo_labels: Path | None = None

    def read(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return image (H, W, 3) and labels (H, W), both uint8."""
        image = read_image(sample.image)
        if image.shape[:2] != sample.size:
            raise ValueError(
                f"{sample.image} - expected an image of size {sample.size} - found {image.shape[:2]} - run the stage `prepare`"
            )
        if self.pseudo_labels is not None:
            png = self.pseudo_labels / f"{sample.image_id}.png"
            return image, read_label_png(png, num_classes=self.catalog.num_classes, size=sample.size)
        assert sample.labels is not None, "a labeled list has label files"
        return image, read_labels(sample.labels, self.catalog, size=sample.size)


Key = tuple[int, int]
"""Which set and which place in the endless sequence of its shuffled epochs."""
Batch = list[tuple[Tensor, Tensor]]
"""For each set: images (B, 3, H, W) float32, normalized, and labels (B, H, W) int64."""


@lru_cache(maxsize=16)
def epoch_order(count: int, seed: int, round_key: str, name: str, epoch: int) -> NDArray[np.int64]:
    """Return the order of one pass over a set, (count,) int64: a function of its arguments alone."""
    return keyed_generator(seed, "order", round_key, name, epoch).permutation(count)


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random crops by key; reading one never depends on another."""

    def __init__(
        self,
        sets: Sequence[TrainingSet],
        params: AugmentationParams,
        *,
        scales: tuple[float, float],
        seed: int,
        round_key: str,
    ) -> None:
        self._sets = sets
        self._params = params
        self._scales = scales
        self._seed = seed
        self._round_key = round_key

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        """Return the crop (3, h, w) float32 and its labels (h, w) int64 at place `key[1]` of set `key[0]`."""
        source = self._sets[key[0]]
        epoch, place = divmod(key[1], len(source.samples))
        index = epoch_order(len(source.samples), self._seed, self._round_key, source.name, epoch)[place]
        image, labels = source.read(source.samples[index])
        rng = keyed_generator(self._seed, "augment", self._round_key, source.name, key[1])
        return augment(image, labels, self._params, scales=self._scales, rng=rng)


def load_batches(
    crops: Crops, sets: Sequence[TrainingSet], *, first_step: int, steps: int, workers: int, pin: bool
) -> Iterator[Batch]:
    """Yield the batches of steps `first_step` to `steps - 1`.

    Args:
        crops: of the same sets.
        sets: each gives its own part of every batch.
        first_step: where to begin; earlier batches are not read.
        steps: of the training.
        workers: processes that read and augment; 0 does it in this one.
        pin: page-locked memory, for copies to a GPU.
    """
    keys = [
        [(part, step * source.batch_size + offset) for part, source in enumerate(sets) for offset in range(source.batch_size)]
        for step in range(first_step, steps)
    ]
    parts = [source.batch_size for source in sets]

    def collate(items: list[tuple[Tensor, Tensor]]) -> Batch:
        batch, begin = [], 0
        for size in parts:
            images, labels = zip(*items[begin : begin + size], strict=True)
            batch.append((torch.stack(images), torch.stack(labels)))
            begin += size
        return batch

    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        crops,
        batch_sampler=keys,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
    )
    try:
        yield from loader
    except ValueError as error:
        # A worker's error arrives with its whole traceback as text; its last line is the message.
        raise ValueError(str(error).strip().splitlines()[-1].removeprefix("ValueError: ")) from error
