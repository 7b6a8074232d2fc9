"""Work of a stage that several processes may share and a kill may interrupt: their devices and the folder of partial work.

The first process owns what lies on disk: the scratch folder, resume points and outs; the others see its folder, which several
nodes need to share.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.machine.device_group import DeviceGroup, join_devices
from pipeline.machine.scratch import Scratch, open_scratch
from pipeline.params import RuntimeParams


@dataclass(frozen=True)
class Work:
    """One stage under way.

    Attributes:
        group: the processes that run it, and the device of this one.
        folder: partial work of an interrupted run with the same fingerprint, or empty.
        finished: another process completed the same work while this one waited; the outs are in place.
    """

    group: DeviceGroup
    folder: Path
    finished: bool


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
        if not group.is_first:
            yield _share(group, None)
            group.barrier()
            return
        with open_scratch(outs=outs, parameters=parameters, inputs=inputs, fresh=fresh, on_wait=on_wait) as scratch:
            yield _share(group, scratch)
            group.barrier()


def _share(group: DeviceGroup, scratch: Scratch | None) -> Work:
    first = group.gather(scratch)[0]
    assert first is not None
    return Work(group, first.folder, first.finished)
