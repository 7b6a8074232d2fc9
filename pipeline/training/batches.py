"""Batches as a function of (seed, round, step): no number of workers and no interruption changes what a step sees."""

import multiprocessing
import os
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from pipeline.machine.device_group import DeviceGroup
from pipeline.machine.lifetime import die_with
from pipeline.models.normalization import Normalization
from pipeline.randomness import keyed_generator
from pipeline.runtime import import_torchvision
from pipeline.training.decoded import DecodedImages
from pipeline.training.plan import TrainingPlan
from pipeline.training.shared_memory import LoaderSize, fit_loader, free_shared_memory
from pipeline.transforms.augment import StrongView, augment
from pipeline.transforms.mix import mix

Key = tuple[int, int]
"""Which set and which place in the endless sequence of its shuffled epochs."""
Batch = list[tuple[Tensor, Tensor]]
"""For each set: images (B, 3, H, W) float32, normalized, and labels (B, H, W) int64."""


_TIMEOUT = 1800.0
"""Seconds to wait for a batch: none takes so long to read; what keeps a worker from handing one over is said then."""


@lru_cache(maxsize=16)
def epoch_order(count: int, seed: int, round_key: str, name: str, epoch: int) -> NDArray[np.int64]:
    """Return the order of one pass over a set, (count,) int64: a function of its arguments alone."""
    return keyed_generator(seed, "order", round_key, name, epoch).permutation(count)


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random crops by key; reading one never depends on another."""

    def __init__(self, plan: TrainingPlan, *, normalization: Normalization, cache_bytes: int = 0) -> None:
        """Draw from the sets of `plan`; where all their images fit into `cache_bytes` once decoded, each is decoded once."""
        self.plan = plan
        self._normalization = normalization
        if plan.augmentation.photometric_probability or (plan.strong_views and plan.strong_views.changes_colors):
            import_torchvision()  # once, before the loader's processes would each do it
        self._decoded = DecodedImages(plan.sets, most_bytes=cache_bytes)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        """Return the crop (3, h, w) float32 and its labels (h, w) int64 at place `key[1]` of set `key[0]`.

        A strong view may hold a part of a second image, drawn for this place alone and augmented as those of its own set.
        """
        plan, source = self.plan, self.plan.sets[key[0]]
        epoch, place = divmod(key[1], len(source.samples))
        index = epoch_order(len(source.samples), plan.seed, plan.round_key, source.name, epoch)[place]
        crop = self._crop(key[0], int(index), "augment", key[1])
        views = plan.strong_views
        if views is None or not source.strong:
            return crop
        rng = keyed_generator(plan.seed, "mix", plan.round_key, source.name, key[1])

        def other() -> tuple[Tensor, Tensor]:
            part = key[0] if views.mix_from == "same" else 0
            return self._crop(part, int(rng.integers(len(plan.sets[part].samples))), f"mixed into {source.name}", key[1])

        return mix(crop, other, views, strength=plan.strength, rng=rng)

    def _crop(self, part: int, index: int, what: str, place: int) -> tuple[Tensor, Tensor]:
        """Cut a crop of one image; `what` and `place` key its draws."""
        plan, source = self.plan, self.plan.sets[part]
        image, labels = self._decoded.read(part, index)
        rng = keyed_generator(plan.seed, what, plan.round_key, source.name, place)
        strong = None
        if plan.strong_views is not None and source.strong:
            strong_rng = keyed_generator(plan.seed, f"strong view, {what}", plan.round_key, source.name, place)
            strong = StrongView(plan.strong_views, plan.strength, strong_rng)
        normalization = self._normalization
        return augment(image, labels, plan.augmentation, scales=plan.scales, normalization=normalization, rng=rng, strong=strong)


def size_loader(plan: TrainingPlan, *, workers: int, group: DeviceGroup) -> LoaderSize:
    """Return what of a loader with `workers` processes fits into this machine's shared memory; all processes have one."""
    free = free_shared_memory()
    return fit_loader(
        workers,
        crops=-(-sum(source.batch_size for source in plan.sets) // group.size),
        crop_pixels=plan.augmentation.crop_height * plan.augmentation.crop_width,
        free=None if free is None else free // group.size,
    )


def load_batches(crops: Crops, *, first_step: int, loader: LoaderSize, group: DeviceGroup) -> Iterator[Batch]:
    """Yield the batches from `first_step` to the end of the plan, or this process's part of each; earlier ones are not read.

    The loader's processes read and augment; with none this one does. The processes of the group share every batch.

    Raises:
        ValueError: a file is missing or damaged, or a batch cannot be shared evenly.
        RuntimeError: shared memory has run out, or no batch has come for half an hour.
    """
    sets, steps = crops.plan.sets, crops.plan.steps
    shares = [group.even_part(source.batch_size) for source in sets]
    keys = [
        [(part, step * source.batch_size + offset) for part, source in enumerate(sets) for offset in shares[part]]
        for step in range(first_step, steps)
    ]
    parts = [len(share) for share in shares]

    def collate(items: list[tuple[Tensor, Tensor]]) -> Batch:
        images, labels = (torch.stack(tensors) for tensors in zip(*items, strict=True))
        # Here, where the loader passes an error on. By itself it does this in a thread whose errors nobody hears, and then waits.
        if get_worker_info() is not None:
            images, labels = images.share_memory_(), labels.share_memory_()  # type: ignore[no-untyped-call]
        return list(zip(torch.split(images, parts), torch.split(labels, parts), strict=True))

    parent = os.getpid()
    batches: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        crops,
        batch_sampler=keys,
        num_workers=loader.workers,
        collate_fn=collate,
        pin_memory=group.device.type == "cuda",
        timeout=_TIMEOUT if loader.workers else 0,
        prefetch_factor=loader.prefetch or None,
        # Without it, a worker of a killed training looks for it every five seconds only, and holds its locks as long.
        worker_init_fn=lambda _: die_with(parent),
        # The default of newer Pythons would pickle the sets, and share no decoded image.
        multiprocessing_context=multiprocessing.get_context("fork") if loader.workers else None,
    )
    try:
        yield from batches
    except ValueError as error:
        # A worker's error arrives with its whole traceback as text; its last line is the message.
        raise ValueError(str(error).strip().splitlines()[-1].removeprefix("ValueError: ")) from error
