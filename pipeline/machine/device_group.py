"""The processes of a stage that runs a network, each with a device of its own.

The first one owns what lies on disk: the scratch folder, resume points and outs; the others see its folder, which several nodes
need to share.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, distributed

from pipeline.machine.process_group import PATIENCE, Processes, count_processes
from pipeline.machine.scratch import Scratch, open_scratch
from pipeline.params import RuntimeParams
from pipeline.runtime import prepare_device


@dataclass(frozen=True)
class World(Processes):
    """The processes that work on one stage together.

    Attributes:
        device: on which this process computes.
    """

    device: torch.device

    def share(self, count: int) -> range:
        """Return the part of `count` items that is this process's: all parts are equally long and follow each other.

        Raises:
            ValueError: there are no such parts.
        """
        if count % self.size:
            raise ValueError(
                f"params.yaml - batch size - expected a multiple of {self.size} processes - found {count}"
                " - change it or the number of processes"
            )
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes; all must call it."""
        if self.size == 1:
            return values
        total = values.clone()
        distributed.all_reduce(total)
        return total


def alone(device: torch.device) -> World:
    """Return the world of one process."""
    return World(0, 1, device)


@contextmanager
def open_world(runtime: RuntimeParams) -> Iterator[World]:
    """Join the processes that `torchrun` started, or be alone; choose this process's device.

    Raises:
        ValueError: there are fewer GPUs than processes on this machine.
    """
    size = count_processes()
    if size == 1:
        yield alone(prepare_device(runtime))
        return
    local = int(os.environ["LOCAL_RANK"])
    # Every process of a node takes a GPU of its own, whichever of them `runtime.device` names.
    on_gpu = runtime.device != "cpu" and torch.cuda.is_available()
    if on_gpu and local >= torch.cuda.device_count():
        raise ValueError(
            f"params.yaml - runtime.processes - expected one for each of {torch.cuda.device_count()} GPUs - found more"
            " - lower it, or set runtime.device to cpu"
        )
    device = prepare_device(runtime.model_copy(update={"device": f"cuda:{local}"}) if on_gpu else runtime)
    if on_gpu:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE, device_id=device if on_gpu else None)
    yield World(distributed.get_rank(), size, device)
    # Not after an error: NCCL would wait here for processes that wait for this one, and the error would never be told.
    distributed.destroy_process_group()


@contextmanager
def open_shared_scratch(
    world: World,
    *,
    outs: Sequence[Path],
    parameters: dict[str, object],
    inputs: Sequence[Path],
    fresh: bool,
    on_wait: Callable[[str], None],
) -> Iterator[Scratch]:
    """Hold one scratch folder for all processes of a world; arguments as of `open_scratch`.

    The first process holds it. All of them leave together, so the folder is there until the last has ended its work.
    """
    if not world.is_first:
        yield _first_of(world, None)
        world.wait()
        return
    with open_scratch(outs=outs, parameters=parameters, inputs=inputs, fresh=fresh, on_wait=on_wait) as scratch:
        yield _first_of(world, scratch)
        world.wait()


def _first_of(world: World, scratch: Scratch | None) -> Scratch:
    first = world.gather(scratch)[0]
    assert first is not None
    return first
