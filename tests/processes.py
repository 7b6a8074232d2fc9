"""Run a function in several processes that are one group, as `torchrun` would start them."""

import os
import socket
from collections.abc import Callable
from typing import Any

from torch import multiprocessing

from pipeline.machine.device_group import join_devices
from pipeline.params import read_params
from tests.workspace import ROOT


def run_in_world(size: int, function: Callable[..., None], *arguments: Any) -> None:
    """Call `function(group, *arguments)` in `size` processes; `function` stands at the top of a module."""
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    multiprocessing.spawn(_enter, (size, port, function, arguments), nprocs=size)  # type: ignore[attr-defined, no-untyped-call]


def _enter(rank: int, size: int, port: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="localhost", MASTER_PORT=str(port))
    runtime = read_params(ROOT / "params.yaml").runtime.model_copy(update={"device": "cpu"})
    with join_devices(runtime) as group:
        function(group, *arguments)
