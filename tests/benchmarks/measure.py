"""Wall time and peak memory of a piece of work, in a process of its own."""

import ctypes
import gc
import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Cost:
    """What work took.

    Attributes:
        seconds: wall time, or that of another clock, the best of the repetitions.
        peak: bytes of memory above what interpreter, libraries and preparation took before the work began.
    """

    seconds: float
    peak: int

    @property
    def mebibytes(self) -> float:
        """The peak, in MiB."""
        return self.peak / MEBIBYTE


def measure(
    prepare: Callable[..., Callable[[], object]],
    *arguments: Any,
    repeat: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Cost:
    """Run what `prepare(*arguments)`, a function at the top of a module, returns: `repeat` times in a fresh process.

    On a machine that does other work, the clock `time.process_time` tells what the work itself takes.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, prepare, arguments, repeat, clock))
    process.start()
    sender.close()
    try:
        seconds, peak = receiver.recv()
    except EOFError as error:
        raise RuntimeError(f"{prepare.__name__} failed") from error
    finally:
        process.join()
    return Cost(seconds, peak)


def _run(sender: Any, prepare: Callable[..., Any], arguments: tuple[Any, ...], repeat: int, clock: Callable[[], float]) -> None:
    work = prepare(*arguments)
    seconds = []
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # from here on, the kernel's peak is this work's
    before = _memory("VmRSS")
    for _ in range(repeat):
        begun = clock()
        work()
        seconds.append(clock() - begun)
    sender.send((min(seconds), _memory("VmHWM") - before))
    sender.close()


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def machine() -> str:
    """Say what the figures were measured on."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{len(os.sched_getaffinity(0))} cores of {processor}, {device}, {versions}"
