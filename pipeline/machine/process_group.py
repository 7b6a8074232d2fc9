"""Several processes, one stage: who is there, and how they agree. `torchrun` (or a stage itself) starts them.

All of them run the same stage with the same arguments; torch is imported only where there are several.
"""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pipeline.files import atomic_path

Item = TypeVar("Item")

PATIENCE = timedelta(days=30)
"""How long a process waits for the others: as long as it takes. The launcher ends it where one of them has died."""

_LAUNCHED = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"}
"""What `torchrun` tells a process; a scheduler's WORLD_SIZE alone means nothing."""


@dataclass(frozen=True)
class Processes:
    """The processes that work on one stage together.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
    """

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether this process owns what lies on disk."""
        return self.rank == 0

    def part(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's part of the items: all parts follow each other, and some may be empty."""
        count = len(items)
        return items[self.rank * count // self.size : (self.rank + 1) * count // self.size]

    def gather(self, item: Item) -> list[Item]:
        """Return what each process gives, in their order; all must call it."""
        if self.size == 1:
            return [item]
        from torch import distributed

        items: list[Item | None] = [None] * self.size
        distributed.all_gather_object(items, item)
        return items  # type: ignore[return-value]  # every process gave one

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.size > 1:
            from torch import distributed

            distributed.barrier()

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Let the first process go through a block, then the others, and wait for the last of them."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()
        self.wait()

    @contextmanager
    def shared_folder(self, path: Path) -> Iterator[Path]:
        """Make a folder that all processes write to; it comes to lie at `path` when all of them have ended the block."""
        if not self.is_first:
            folder = self.gather(path)[0]
            try:
                yield folder
            except FileNotFoundError as error:
                if folder.exists():
                    raise
                # In the words of torch's engines: the first process has failed, and taken the folder with it.
                raise RuntimeError("Connection closed by peer") from error
            self.wait()
            return
        with atomic_path(path) as folder:
            folder.mkdir()
            yield self.gather(folder)[0]
            self.wait()


def count_processes() -> int:
    """Return how many processes run this stage together."""
    return int(os.environ["WORLD_SIZE"]) if is_launched() else 1


def is_launched() -> bool:
    """Return whether `torchrun`, or a stage itself, started this process."""
    return os.environ.keys() >= _LAUNCHED


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Join the processes that `torchrun` started, or be alone; for work on the CPU."""
    if count_processes() == 1:
        yield Processes(0, 1)
        return
    from torch import distributed

    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def launch(processes: int, module: str, arguments: Sequence[str], *, code_of_loss: int) -> bool:
    """Run a module in several processes of this machine, as `torchrun --standalone` does, and wait for them.

    Args:
        processes: how many.
        module: to run, as by `python -m`.
        arguments: of its command line.
        code_of_loss: exit code of a process that ends because it has lost another.

    Returns:
        Whether all of them ended well; those that failed have said themselves what was wrong.

    Raises:
        ValueError: one of them was killed, and so could say nothing.
        KeyboardInterrupt: this process was told to end; it has ended the others.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # Where a process fails, it says so itself; the engine's own account of it is a screen long.
    logging.disable(logging.ERROR)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", module, *arguments)
    except SignalException as error:
        raise KeyboardInterrupt from error
    except ChildFailedError as error:
        failures = {rank: failure for rank, failure in error.failures.items() if failure.exitcode != code_of_loss}
        if not failures or any(failure.exitcode > 0 for failure in failures.values()):
            return False
        rank, failure = next(iter(failures.items()))
        remedies = {signal.SIGKILL: "free memory or lower runtime.processes, then run again", signal.SIGTERM: "run again"}
        killer = signal.Signals(-failure.exitcode)
        raise ValueError(
            f"process {rank} of {processes} - expected it to end by itself - ended by {killer.name}"
            f" - {remedies.get(killer, 'see what it said')}"
        ) from error
    return True
