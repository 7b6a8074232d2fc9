"""Time and peak memory of a piece of work, in a process of its own."""

import ctypes
import gc
import multiprocessing
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

MEBIBYTE = 2**20
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What work took.

    Attributes:
        seconds: wall time, or what else `measure` was told to count, the best of the repetitions.
        peak: bytes of memory above what interpreter, libraries and preparation took before the work began.
        preparation: wall time of what went before: building, and compiling where that is done.
    """

    seconds: float
    peak: int
    preparation: float = 0.0

    @property
    def mebibytes(self) -> float:
        """The peak, in MiB."""
        return self.peak / MEBIBYTE


def measure(
    prepare: Callable[..., Callable[[], object]],
    *arguments: Any,
    repeat: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    limit: float | None = None,
) -> Cost:
    """Run what `prepare(*arguments)`, a function at the top of a module, returns: `repeat` times in a fresh process.

    Wall time, or by `clock=time.process_time` processor time: of one thread it is the same on a machine that has other work.

    Raises:
        RuntimeError: see `in_own_process`.
    """
    return in_own_process(_run, prepare, arguments, repeat, clock, limit=limit)


def in_own_process(work: Callable[..., Result], *arguments: Any, limit: float | None = None) -> Result:
    """Return what `work(*arguments)`, a function at the top of a module, returns in a fresh process.

    Raises:
        RuntimeError: it failed, or was not done after `limit` seconds; says so in a line.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        if not receiver.poll(limit):
            process.terminate()
            raise RuntimeError(f"not done after {limit:.0f} s")
        result, error = receiver.recv()
    except EOFError:
        error = "killed"
    finally:
        process.join()
    if error:
        raise RuntimeError(error)
    return result  # type: ignore[no-any-return]


def forget_peak() -> int:
    """Return the memory of this process in bytes; from here on, its peak is that of what follows."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def peak_memory() -> int:
    """Return the most memory in bytes that this process has had since its peak was forgotten."""
    return _memory("VmHWM")


def _answer(sender: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        sender.send((work(*arguments), ""))
    except Exception as error:
        lines = str(error).strip().splitlines()
        sender.send((None, f"{type(error).__name__}: {lines[0] if lines else ''}"))
        raise


def _run(prepare: Callable[..., Any], arguments: tuple[Any, ...], repeat: int, clock: Callable[[], float]) -> Cost:
    begun = time.perf_counter()
    work = prepare(*arguments)
    preparation = time.perf_counter() - begun
    seconds = []
    before = forget_peak()
    for _ in range(repeat):
        begun = clock()
        work()
        seconds.append(clock() - begun)
    return Cost(min(seconds), peak_memory() - before, preparation)


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def machine() -> str:
    """Say what the figures were measured on."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    device = _gpus() if torch.cuda.is_available() else "no GPU"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{len(os.sched_getaffinity(0))} cores of {processor}, {device}, {versions}"


def _gpus() -> str:
    """Say which GPUs there are, and by which driver and libraries torch talks to them."""
    import torch

    count, first = torch.cuda.device_count(), torch.cuda.get_device_properties(0)
    driver = "unknown"
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.partition("\n")[0] or driver
    versions = f"driver {driver}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
    return f"{count} x {first.name} with {first.total_memory / 2**30:.0f} GiB, {versions}"
