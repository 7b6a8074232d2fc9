"""The machine: devices, threads, determinism and the imports of torchvision and timm.

Every room takes torchvision and timm from here, by `import_torchvision` and `import_timm`, in the function that needs it: each
takes a second or more to import, and the default network needs neither.
"""

import importlib
import importlib.util
import os
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

from pipeline.params import RuntimeParams
from pipeline.randomness import seed_of


def _declare_missing_operators() -> None:
    """Make `import torchvision` work beside a torch that cannot load torchvision's compiled operators.

    torchvision's wheel on PyPI is built for CUDA: beside a CPU-only torch its library does not load, and the import
    then fails with "operator torchvision::nms does not exist" (https://github.com/pytorch/pytorch/issues/122494). The
    import needs no more than the two schemas; models and transforms never call them. The library is loaded here
    first, as torchvision itself does (a second load is a no-op), so that operators that do exist are never declared
    twice.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return  # the import below says what is missing
    for library in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            continue
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


@cache
def import_torchvision() -> ModuleType:
    """Import torchvision with its models and transforms."""
    _declare_missing_operators()
    return importlib.import_module("torchvision")


def import_timm() -> ModuleType:
    """Import timm, which imports torchvision."""
    import_torchvision()
    return importlib.import_module("timm")


def prepare_device(params: RuntimeParams) -> torch.device:
    """Choose the device, set the number of threads and ask for deterministic algorithms.

    Raises:
        ValueError: a GPU is asked for and there is none.
    """
    torch.set_num_threads(params.threads)
    name = ("cuda:0" if torch.cuda.is_available() else "cpu") if params.device == "auto" else params.device
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
            raise ValueError(
                f"params.yaml - runtime.device - expected one of {torch.cuda.device_count()} GPUs or cpu - found {params.device}"
                " - set it to auto"
            )
        # cuBLAS reads this when its first handle is made; without it, its matrix products are not reproducible.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        # Operations that have no deterministic kernel warn and go on: a GPU run is then reproducible up to those.
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
    return device


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a network computes in `precision`: `float32`, `bfloat16` or `float16`."""
    return torch.autocast(device.type, dtype=getattr(torch, precision), enabled=precision != "float32")


def seed_torch(*key: int | str) -> None:
    """Seed torch's global generators by what the next draws are for; see `seed_of`."""
    torch.manual_seed(seed_of(*key) % 2**63)
