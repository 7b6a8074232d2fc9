"""The processes of a stage that runs a network, each with a device of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from pipeline.machine.process_group import TIMEOUT, ProcessGroup, count_processes, local_rank, meeting
from pipeline.params import RuntimeParams
from pipeline.runtime import prepare_device


@dataclass(frozen=True)
class DeviceGroup(ProcessGroup):
    """The processes that work on one stage together.

    Attributes:
        device: on which this process computes.
    """

    device: torch.device

    def even_part(self, count: int) -> range:
        """Return the part of `count` items that is this process's: all parts are equally long and follow each other.

        Raises:
            ValueError: there are no such parts.
        """
        if count % self.size:
            raise ValueError(
                f"params.yaml - batch size - expected a multiple of {self.size} processes - found {count}"
                " - change it or the number of processes"
            )
        places = self.part(range(count))
        assert isinstance(places, range)
        return places

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes; all must call it."""
        if self.size == 1:
            return values
        total = values.clone()
        distributed.all_reduce(total)
        return total


@contextmanager
def join_devices(runtime: RuntimeParams) -> Iterator[DeviceGroup]:
    """Join the processes that `torchrun` started, or be alone; choose this process's device.

    Raises:
        ValueError: there are fewer GPUs than processes on this machine.
    """
    size = count_processes()
    if size == 1:
        yield DeviceGroup(0, 1, prepare_device(runtime))
        return
    # Every process of a node takes a GPU of its own, whichever of them `runtime.device` names.
    local, on_gpu = local_rank(), runtime.device != "cpu" and torch.cuda.is_available()
    if on_gpu and local >= torch.cuda.device_count():
        raise ValueError(
            f"params.yaml - runtime.processes - expected one for each of {torch.cuda.device_count()} GPUs - found more"
            " - lower it, or set runtime.device to cpu"
        )
    device = prepare_device(runtime.model_copy(update={"device": f"cuda:{local}"}) if on_gpu else runtime)
    if on_gpu:
        torch.cuda.set_device(device)
    engine, own = ("nccl", device) if on_gpu else ("gloo", None)
    distributed.init_process_group(engine, timeout=TIMEOUT, device_id=own, **meeting())
    yield DeviceGroup(distributed.get_rank(), size, device)
    # Not after an error: NCCL would wait here for processes that wait for this one, and the error would never be told.
    distributed.destroy_process_group()
