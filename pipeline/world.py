"""Several processes, one experiment: who is there, and how they agree. `torchrun` (or a stage itself) starts them.

All processes of a world run the same stage with the same arguments. The first one owns what lies on disk: the scratch folder,
resume points and outs; the others see its folder, which several nodes need to share.
"""

import logging
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, distributed

from pipeline.params import RuntimeParams
from pipeline.runtime import prepare_device
from pipeline.scratch import Scratch, open_scratch


@dataclass(frozen=True)
class World:
    """The processes that work on one stage together.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
        device: on which this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process owns what lies on disk."""
        return self.rank == 0

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

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.size > 1:
            distributed.barrier()

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Let the first process go through a block, then the others, and wait for the last of them."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()
        self.wait()


def launch(processes: int, module: str, arguments: Sequence[str]) -> bool:
    """Run a module in several processes of this machine, as `torchrun --standalone` does, and wait for them.

    Args:
        processes: how many.
        module: to run, as by `python -m`.
        arguments: of its command line.

    Returns:
        Whether all of them ended well; they have said themselves what was wrong.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # Where a process fails, it says so itself; the engine's own account of it is a screen long.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", module, *arguments)
    except ChildFailedError:
        return False
    return True


def alone(device: torch.device) -> World:
    """Return the world of one process."""
    return World(0, 1, device)


@contextmanager
def open_world(runtime: RuntimeParams) -> Iterator[World]:
    """Join the processes that `torchrun` started, or be alone; choose this process's device.

    Raises:
        ValueError: there are fewer GPUs than processes on this machine.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield alone(prepare_device(runtime))
        return
    local = int(os.environ["LOCAL_RANK"])
    # Every process of a node takes a GPU of its own, whichever of them `runtime.device` names.
    on_gpu = runtime.device != "cpu" and torch.cuda.is_available()
    device = prepare_device(runtime.model_copy(update={"device": f"cuda:{local}"}) if on_gpu else runtime)
    if on_gpu:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_gpu else "gloo", device_id=device if on_gpu else None)
    try:
        yield World(distributed.get_rank(), size, device)
    finally:
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
        yield _broadcast(None)
        world.wait()
        return
    with open_scratch(outs=outs, parameters=parameters, inputs=inputs, fresh=fresh, on_wait=on_wait) as scratch:
        if world.size > 1:
            _broadcast(scratch)
        yield scratch
        world.wait()


def _broadcast(scratch: Scratch | None) -> Scratch:
    known: list[Scratch | None] = [scratch]
    distributed.broadcast_object_list(known, src=0)
    assert known[0] is not None
    return known[0]
