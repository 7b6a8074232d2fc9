"""The pretrained network of the setting `folder-small` on a CPU: what threads, memory format, bfloat16 and compiling change.

Ratios are of processor time, which other work on the machine does not change. The row of two threads is wall time, and so is what
compiling takes: other processes do it.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import torch

from pipeline.models.build import build_network
from pipeline.runtime import autocast, prepare_device
from pipeline.training.losses import segmentation_loss
from pipeline.training.optimizers import build_optimizer
from tests.benchmarks.inference import settings
from tests.benchmarks.maps import NAMES
from tests.benchmarks.measure import Cost, measure
from tests.benchmarks.table import Row
from tests.benchmarks.training import make_batch, training

COMPILED_STEPS = 5
COMPILE_LIMIT = 900.0
"""Seconds after which a network that is still not compiled is left at that."""


def photo(folder: Path, steps: int, *, compiled: bool = True) -> Iterator[Row]:
    """Compare `steps` bare training steps as they are with the same in other ways, then the loop with bare steps."""
    name, what = "lite0 with DeepLabv3+, as it is", _what(steps)
    spent = measure(steps_in, steps, 1, "channels_last", "float32", "eager", repeat=2, clock=time.process_time)
    for way, (layout, precision) in {
        "contiguous memory": ("contiguous_format", "float32"),
        "bfloat16": ("channels_last", "bfloat16"),
    }.items():
        other = measure(steps_in, steps, 1, layout, precision, "eager", repeat=2, clock=time.process_time)
        yield Row(f"{name}, processor time", what, spent, way, other)
    waited, two = (measure(steps_in, steps, threads, "channels_last", "float32", "eager", repeat=2) for threads in (1, 2))
    yield Row(name, what, waited, "two threads", two)
    if compiled:
        yield from compiling(name)
    yield from training(folder, steps, network="photo")


def compiling(name: str, steps: int = COMPILED_STEPS, limit: float = COMPILE_LIMIT) -> Iterator[Row]:
    """Compare a few steps with the same compiled, and time compiling itself; where it takes too long, or fails, a row says so."""
    spent = measure(steps_in, steps, 1, "channels_last", "float32", "eager", clock=time.process_time)
    way = (1, "channels_last", "float32", "compiled")
    try:
        compiled = measure(steps_in, steps, *way, clock=time.process_time, limit=limit)
    except RuntimeError as error:
        yield Row(f"{name}, processor time", _what(steps), spent, f"compiled: {error}")
        return
    yield Row(f"{name}, processor time", _what(steps), spent, "compiled, once it is", compiled)
    yield Row("compiling it", "", Cost(compiled.preparation - spent.preparation, 0))


def _what(steps: int) -> str:
    crop = settings("photo").augmentation
    return f"{steps} steps of 8 crops of {crop.crop_height}x{crop.crop_width}"


def steps_in(steps: int, threads: int, layout: str, precision: Literal["float32", "bfloat16"], how: str) -> Callable[[], None]:
    """Forward, backward and update on one batch of crops that is there already."""
    params = settings("photo")
    device = prepare_device(params.runtime.model_copy(update={"threads": threads}))
    torch.manual_seed(0)
    memory_format = getattr(torch, layout)
    trained = build_network(params.model, len(NAMES)).to(memory_format=memory_format).train()  # type: ignore[call-overload]
    optimizer = build_optimizer(trained, params.training)
    parts = [(images.contiguous(memory_format=memory_format), labels) for images, labels in make_batch(params)]
    if how == "compiled":
        trained.compile()

    def work() -> None:
        for _ in range(steps):
            step()

    def step() -> None:
        optimizer.zero_grad()
        for images, labels in parts:
            with autocast(device, precision):
                output = trained(images)
            segmentation_loss(output, labels, auxiliary_weight=0.0).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step()  # compiles
    return work
