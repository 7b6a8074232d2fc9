"""The resume point of a training: network, momentum, step and curve in one file, replaced atomically.

Schedules, orders, augmentations and dropout are functions of the step, so no generator state needs keeping and a resumed training
ends with the bytes of an undisturbed one.
"""

from pathlib import Path

import torch
from torch import nn
from torch.optim import SGD

from pipeline.curve import CurveRow
from pipeline.schema import Section
from pipeline.tensor_files import read_tensors, write_tensors

_MOMENTUM = "momentum_buffer"


class _State(Section):
    step: int
    rows: list[CurveRow]


def write_resume_point(path: Path, network: nn.Module, optimizer: SGD, *, step: int, rows: list[CurveRow]) -> None:
    """Write all that the steps from `step` on depend on, whole or not at all."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        buffer = optimizer.state[parameter].get(_MOMENTUM)
        if buffer is not None:
            tensors[f"momentum.{name}"] = buffer
    write_tensors(path, tensors, _State(step=step, rows=rows).model_dump_json())


def read_resume_point(path: Path, network: nn.Module, optimizer: SGD) -> tuple[int, list[CurveRow]]:
    """Put network and optimizer back to where a training stopped.

    Returns:
        The next step and the rows of the curve so far; (0, []) if there is nothing to resume.

    Raises:
        ValueError: the file is damaged.
    """
    if not path.exists():
        return 0, []
    try:
        tensors, text = read_tensors(path)
        state = _State.model_validate_json(text or "")
    except ValueError as error:
        raise ValueError(f"{path} - expected a resume point - found {' '.join(str(error).split())[:200]}") from error
    prefix = "network."
    network.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)})
    for name, parameter in network.named_parameters():
        buffer = tensors.get(f"momentum.{name}")
        if buffer is not None:
            optimizer.state[parameter][_MOMENTUM] = torch.empty_like(parameter).copy_(buffer)
    return state.step, state.rows
