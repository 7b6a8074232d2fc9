"""Work of a stage that several processes may share and a kill may interrupt: their devices and the folder of partial work.

The first process owns what lies on disk: the scratch folder, resume points and outs; the others see its folder, which several
nodes need to share.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from pipeline.machine.device_group import DeviceGroup, join_devices
from pipeline.machine.scratch import Scratch, open_scratch
from pipeline.params import RuntimeParams


@dataclass(frozen=True)
class Work(Scratch):
    """One stage under way: the scratch folder of all its processes, and `group`, these processes with the device of this one."""

    group: DeviceGroup


@contextmanager
def open_work(
    runtime: RuntimeParams,
    *,
    outs: Sequence[Path],
    parameters: Mapping[str, object],
    inputs: Sequence[Path],
    fresh: bool,
    on_wait: Callable[[str], None],
) -> Iterator[Work]:
    """Join the stage's processes and hold one scratch folder for all of them; see `open_scratch` for the other arguments.

    All of them leave together, so the folder is there until the last has ended its work.
    """
    with join_devices(runtime) as group:
        held = open_scratch(outs=outs, parameters=parameters, inputs=inputs, fresh=fresh, on_wait=on_wait)
        with held if group.is_first else nullcontext() as scratch:
            shared = group.gather(scratch)[0]
            assert shared is not None
            yield Work(**vars(shared), group=group)
            group.barrier()
