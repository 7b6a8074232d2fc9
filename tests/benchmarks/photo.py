"""The pretrained network of the setting `folder-small` on a CPU: what threads, memory format, bfloat16 and compiling change."""

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
from tests.benchmarks.measure import measure
from tests.benchmarks.table import Row
from tests.benchmarks.training import make_batch, training


def photo(folder: Path, steps: int) -> Iterator[Row]:
    """Compare `steps` bare training steps as they are with the same in other ways, then the loop with bare steps."""
    crop = settings("photo").augmentation
    what = f"{steps} steps of 8 crops of {crop.crop_height}x{crop.crop_width}"
    as_it_is = measure(steps_in, steps, 1, "channels_last", "float32", "eager", repeat=2)
    others = {
        "contiguous memory": (1, "contiguous_format", "float32", "eager"),
        "two threads": (2, "channels_last", "float32", "eager"),
        "bfloat16": (1, "channels_last", "bfloat16", "eager"),
        "compiled, once it is": (1, "channels_last", "float32", "compiled"),
    }
    for name, ways in others.items():
        yield Row("lite0 with DeepLabv3+, as it is", what, as_it_is, name, measure(steps_in, steps, *ways, repeat=2))
    yield from training(folder, steps, network="photo")


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
