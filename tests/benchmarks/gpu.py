"""The pipeline on a GPU: training, inference, what a store adds, a whole round, two processes. `make bench BENCH=gpu` runs it.

It is for a bare machine: besides torch it imports what the pipeline imports for the path that is measured, and where even that is
missing, or memory is, the row says so and the next one follows. Networks begin with random weights: they cost the same.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pipeline.experiments.overrides import merge
from pipeline.params import Params
from tests.benchmarks.gpu_round import Data, time_round
from tests.benchmarks.gpu_training import crops_of_run, train, train_in_processes
from tests.benchmarks.inference import predict_alone, predict_and_store, read_changed
from tests.benchmarks.measure import MEBIBYTE, in_own_process
from tests.benchmarks.speed import Speed, time_work

LIMIT = 900.0
"""Seconds that one row may take, compiling included."""
TABLE = (
    "| network | work | size | precision | images/s | memory | compiled: images/s | memory | first run, compiling | ratio |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
STORE_TABLE = (
    "| network | images | precision | infer to store, images/s | network alone, images/s | ratio |",
    "|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Case:
    """A network in the setting that it is measured in.

    Attributes:
        setting: in `data/settings`.
        size: height and width of an image for inference.
        changes: to the setting.
        images: of one run of inference.
        repeat: runs that count.
    """

    setting: str
    size: tuple[int, int]
    changes: Mapping[str, Any] = field(default_factory=dict)
    images: int = 16
    repeat: int = 3

    def params(self, device: str, precision: str, *, compiled: bool = False) -> Params:
        """Return the parameters."""
        cores = len(os.sched_getaffinity(0))
        runtime = {"device": device, "compile": compiled, "threads": cores, "workers": cores}
        own = {
            "model": {"weights": "none"},
            "training": {"precision": precision},
            "inference": {"precision": precision},
            "runtime": runtime,
        }
        return read_changed(self.setting, merge(own, self.changes))


VIT_518 = {"augmentation": {"crop_height": 518, "crop_width": 518}, "inference": {"long_side": 518}}
CASES = (
    Case("cityscapes-1-8-361", (1024, 2048)),
    Case("cityscapes-1-8-713", (1024, 2048)),
    Case("folder-small", (768, 1024)),
    Case("folder-gpu", (518, 518), VIT_518),
)
PRECISIONS = ("float32", "bfloat16")


def run_alone(work: Callable[..., Speed], *arguments: Any) -> Speed:
    """Measure in a process of its own: no row has another's memory or compiled code, and none takes the others along."""
    return in_own_process(work, *arguments, limit=LIMIT)


def gpu(
    folder: Path,
    parts: Sequence[str],
    *,
    compiled: bool = True,
    camvid: Path | None = None,
    device: str = "auto",
    cases: Sequence[Case] = CASES,
    run: Callable[..., Any] = run_alone,
) -> Iterator[str]:
    """Yield the lines of the tables, each as soon as it is measured; where there is no GPU, one line.

    Args:
        folder: for files.
        parts: of `networks`, `store`, `round` and `processes`.
        compiled: whether networks are measured compiled, too.
        camvid: where CamVid lies; None = the round is one of drawn streets.
        device: `cpu` measures what there is without a GPU.
        cases: networks.
        run: how a row is measured.
    """
    if device != "cpu" and not torch.cuda.is_available():
        yield (
            "GPU: none was found and nothing measured; with one, this prints images/s and memory of training and inference in"
            " float32 and bfloat16, compiled and not, what the store adds to inference, operations without a deterministic"
            " version, a round end to end, and two processes where there are two GPUs."
        )
        return
    if "networks" in parts:
        yield from networks(folder, cases, device, run, compiled=compiled)
    if "store" in parts:
        yield from stores(folder, cases, device, run)
    if "round" in parts:
        yield from time_round(folder, Data.camvid(camvid) if camvid else Data.streets(), device)
    if "processes" in parts:
        yield from processes(folder, cases[0], device, run)


def networks(folder: Path, cases: Sequence[Case], device: str, run: Callable[..., Any], *, compiled: bool) -> Iterator[str]:
    """Yield a row for each network, precision, and training or inference; then what in them is not deterministic."""
    yield from TABLE
    measured: list[Speed | str] = []
    for case in cases:
        for work in (training_speed, inference_speed):
            for precision in PRECISIONS:
                plain = _try(run, work, folder, case, case.params(device, precision))
                other = _try(run, work, folder, case, case.params(device, precision, compiled=True)) if compiled else ""
                measured.append(plain)
                yield _network_row(case, work, precision, plain, other)
    yield from _name_warned(measured)


def training_speed(folder: Path, case: Case, params: Params) -> Speed:
    """Train as a stage does, on a batch that is there: the loader is no matter of the GPU."""
    return time_work(train, params, folder, images=crops_of_run(params), repeat=case.repeat)


def inference_speed(folder: Path, case: Case, params: Params) -> Speed:
    """Predict prepared images and keep nothing."""
    del folder
    return time_work(predict_alone, params, case.images, *case.size, images=case.images, repeat=case.repeat)


def store_speed(folder: Path, case: Case, params: Params) -> Speed:
    """Do what `infer` does: read, predict, quantize, write."""
    return time_work(predict_and_store, folder, params, case.images, *case.size, images=case.images, repeat=case.repeat)


def stores(folder: Path, cases: Sequence[Case], device: str, run: Callable[..., Any]) -> Iterator[str]:
    """Yield a row for each network and precision: inference to a store beside the network alone; then as `networks`."""
    yield from ("", *STORE_TABLE)
    measured: list[Speed | str] = []
    for case in cases:
        for precision in PRECISIONS:
            params = case.params(device, precision)
            whole, alone = (_try(run, work, folder, case, params) for work in (store_speed, inference_speed))
            measured.append(whole)
            what = (_name(params), f"{case.images} x {_by(case.size)}", precision)
            yield _row(*what, _rate(whole), _rate(alone), _ratio(whole, alone))
    yield from _name_warned(measured)


def processes(folder: Path, case: Case, device: str, run: Callable[..., Any]) -> Iterator[str]:
    """Yield a line: the training of two processes, each on a GPU of its own, beside that of one."""
    count = torch.cuda.device_count()
    if device != "cpu" and count < 2:
        yield f"- Two processes: not measured, {count} GPU."
        return
    params = case.params(device, "bfloat16")
    one = _try(run, training_speed, folder, case, params)
    two = _try(run, train_in_processes, folder, params, 2, case.repeat)
    ratio = f", {_ratio(two, one)} times as many" if _ratio(two, one) else ""
    what = f"Two processes train {_name(params)}, {_crops(params)}, in bfloat16"
    yield f"- {what} at {_rate(two)} images/s{ratio}; one at {_rate(one)}."


def _try(run: Callable[..., Any], *arguments: Any) -> Speed | str:
    """Return what was measured, or why it was not: the next row is worth having all the same."""
    try:
        speed: Speed = run(*arguments)
    except RuntimeError as error:
        return "out of memory" if "OutOfMemoryError" in str(error) else str(error).replace("|", "/")
    return speed


def _name_warned(measured: Iterable[Speed | str]) -> Iterator[str]:
    """Yield a blank line and one with all operations of which torch warned."""
    names = sorted({f"`{name}`" for speed in measured if isinstance(speed, Speed) for name in speed.warned})
    yield ""
    yield f"- Operations without a deterministic version, of which torch warned: {', '.join(names) or 'none'}."


def _network_row(case: Case, work: Callable[..., Speed], precision: str, plain: Speed | str, compiled: Speed | str) -> str:
    params = case.params("cpu", precision)
    sizes = {training_speed: ("training", _crops(params)), inference_speed: ("inference", _protocol(case, params))}
    first = f"{compiled.first:.1f} s" if isinstance(compiled, Speed) else ""
    cells = (precision, _rate(plain), _memory(plain), _rate(compiled), _memory(compiled), first, _ratio(compiled, plain))
    return _row(_name(params), *sizes[work], *cells)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rate(speed: Speed | str) -> str:
    return f"{speed.images_per_second:.1f}" if isinstance(speed, Speed) else speed


def _memory(speed: Speed | str) -> str:
    return f"{speed.peak / MEBIBYTE:.0f} MiB" if isinstance(speed, Speed) else ""


def _ratio(first: Speed | str, second: Speed | str) -> str:
    """How many times as fast the first is."""
    if isinstance(first, str) or isinstance(second, str):
        return ""
    return f"{first.images_per_second / second.images_per_second:.2f}"


def _name(params: Params) -> str:
    return f"{params.model.network} on {params.model.backbone}"


def _crops(params: Params) -> str:
    student, size = params.student, (params.augmentation.crop_height, params.augmentation.crop_width)
    return f"{student.labeled_batch_size} + {student.unlabeled_batch_size} crops of {_by(size)}"


def _protocol(case: Case, params: Params) -> str:
    section, what = params.inference, _by(case.size)
    if section.long_side not in {None, max(case.size)}:
        what += f" at {section.long_side}"
    if section.sliding_window:
        what += f" in windows of {_by((section.window_height, section.window_width))}"
    return f"{what}, flipped too" if section.flip else what


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
