"""Images a second of work on any device: the first run apart, medians of the others, the device awaited."""

import re
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch

from tests.benchmarks.measure import forget_peak, peak_memory

WARM_UP = 1
"""Runs between the first and those that count."""
_NAMED = re.compile(r"(\S+) does not have a deterministic|(.+?) defaults to a non-deterministic")


class Speed(NamedTuple):
    """What work took.

    Attributes:
        images_per_second: by the median of the runs.
        peak: bytes, most at once: what torch has allocated on the GPU; without one, what this process has beyond its imports.
        first: seconds of the first run, in which a network is compiled.
        warned: operations of which torch says that they have no deterministic version, as it names them.
    """

    images_per_second: float
    peak: int
    first: float
    warned: tuple[str, ...]


def time_work(prepare: Callable[..., Callable[[], object]], *arguments: Any, images: int, repeat: int) -> Speed:
    """Run what `prepare(*arguments)` returns, which goes through `images`; `repeat` runs count, after others that warm up."""
    on_gpu = torch.cuda.is_available()
    before = 0 if on_gpu else forget_peak()
    work = prepare(*arguments)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first = _time(work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say has been said
        seconds = [_time(work) for _ in range(WARM_UP + repeat)][WARM_UP:]
    peak = torch.cuda.max_memory_allocated() if on_gpu else peak_memory() - before
    return Speed(images / statistics.median(seconds), peak, first, name_operations(str(one.message) for one in caught))


def name_operations(messages: Iterable[str]) -> tuple[str, ...]:
    """Return what torch's warnings say is not deterministic, each once, sorted; of one in other words, its first sentence."""
    about = [message for message in messages if "deterministic" in message]
    found = [(_NAMED.search(message), message) for message in about]
    return tuple(sorted({match[1] or match[2] if match else message.partition(". ")[0] for match, message in found}))


def _time(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun
