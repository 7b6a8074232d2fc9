"""Steps of the pipeline's own training on a batch that is there, in one process or in several; `gpu` measures them."""

import itertools
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from pipeline.machine.device_group import DeviceGroup, join_devices
from pipeline.machine.launch import launch
from pipeline.models.build import build_network
from pipeline.params import Params, read_params
from pipeline.runtime import prepare_device
from pipeline.training.batches import Batch
from pipeline.training.training import Training
from tests.benchmarks.maps import NAMES
from tests.benchmarks.speed import Speed, time_work
from tests.benchmarks.training import make_batch, make_plan

STEPS = 5
"""Of one run."""
_ENDLESS = 10**9


def crops_of_run(params: Params) -> int:
    """Return how many crops one run trains on, in all processes together."""
    return STEPS * (params.student.labeled_batch_size + params.student.unlabeled_batch_size)


def train(params: Params, folder: Path) -> Callable[[], None]:
    """Take a few steps more of one training."""
    return train_in(DeviceGroup(0, 1, prepare_device(params.runtime)), params, folder)


def train_in(group: DeviceGroup, params: Params, folder: Path) -> Callable[[], None]:
    """Do the same in each process of a group, on its own part of the batch."""
    torch.manual_seed(0)
    network = build_network(params.model, len(NAMES))
    # Whose end never comes: resume points are a matter of the disk.
    plan, runtime = make_plan(params, _ENDLESS, []), params.runtime.model_copy(update={"checkpoint_every": _ENDLESS})
    own = Path(tempfile.mkdtemp(dir=folder))
    training = Training(network, plan, runtime=runtime, group=group, folder=own, save=lambda *_: None)
    steps = training.train_on(itertools.repeat(_own_part(make_batch(params), group)))

    def work() -> None:
        for _ in range(STEPS):
            next(steps)

    return work


def train_in_processes(folder: Path, params: Params, count: int, repeat: int) -> Speed:
    """Measure it in `count` processes, as the stages start them; the figures are those of the first.

    Raises:
        RuntimeError: they did not come to an end; what they said, they said themselves.
    """
    (folder / "params.yaml").write_text(params.model_dump_json())
    if not launch(count, "tests.benchmarks.gpu_training", [str(folder), str(repeat)]):
        raise RuntimeError("failed")
    images_per_second, peak, first, warned = json.loads((folder / "speed.json").read_text())
    return Speed(images_per_second, peak, first, tuple(warned))


def _own_part(batch: Batch, group: DeviceGroup) -> Batch:
    """Return the part of this process, pinned where the loader pins."""
    parts = []
    for images, labels in batch:
        share = group.even_part(len(images))
        own = images[share.start : share.stop], labels[share.start : share.stop]
        parts.append((own[0].pin_memory(), own[1].pin_memory()) if group.device.type == "cuda" else own)
    return parts


def _run(folder: Path, repeat: int) -> None:
    params = read_params(folder / "params.yaml")
    with join_devices(params.runtime) as group:
        speed = time_work(train_in, group, params, folder, images=crops_of_run(params), repeat=repeat)
        if group.is_first:
            (folder / "speed.json").write_text(json.dumps(speed))


if __name__ == "__main__":
    _run(Path(sys.argv[1]), int(sys.argv[2]))
