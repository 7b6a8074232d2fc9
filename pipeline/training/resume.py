"""The resume point of a training: network, state of the optimizer, step and curve in one file, replaced atomically.

Schedules, orders, augmentations and dropout are functions of the step, so no generator state needs keeping and a resumed training
ends with the bytes of an undisturbed one.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from pipeline.curve import CurveRow
from pipeline.schema import Section
from pipeline.tensor_files import read_tensors, write_tensors


class _State(Section):
    step: int
    rows: list[CurveRow]


def write_resume_point(
    path: Path, networks: Mapping[str, nn.Module], optimizer: Optimizer, *, step: int, rows: list[CurveRow]
) -> None:
    """Write all that the steps from `step` on depend on, whole or not at all; `optimizer` is that of `networks["network"]`."""
    tensors = {f"{key}.{name}": tensor for key, module in networks.items() for name, tensor in module.state_dict().items()}
    for name, parameter in networks["network"].named_parameters():
        for key, value in optimizer.state[parameter].items():
            if value is not None:  # without momentum, SGD keeps an empty buffer
                tensors[f"{key}:{name}"] = value
    write_tensors(path, tensors, _State(step=step, rows=rows).model_dump_json())


def read_resume_point(path: Path, networks: Mapping[str, nn.Module], optimizer: Optimizer) -> tuple[int, list[CurveRow]]:
    """Put networks and optimizer back to where a training stopped.

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
    for prefix, module in networks.items():
        parts = {name.partition(".")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}
        module.load_state_dict(parts)
    parameters = dict(networks["network"].named_parameters())
    for full_name, tensor in tensors.items():
        key, _, name = full_name.partition(":")
        if name:
            parameter = parameters[name]
            # What is kept of each weight lies as the weight does; counters of steps are single numbers on the CPU.
            value = torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor
            optimizer.state[parameter][key] = value
    return state.step, state.rows
