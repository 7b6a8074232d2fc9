"""Several processes, one stage: who is there, and how they agree. `torchrun` (or a stage itself) starts them.

All of them run the same stage with the same arguments; torch is imported only where there are several.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from pipeline.files import atomic_path

Item = TypeVar("Item")

TIMEOUT = timedelta(days=30)
"""How long a process waits for the others: as long as it takes. The launcher ends it where one of them has died."""

MEETING = "DARS_MEETING"
"""The variable by which a stage that starts itself several times names the file in which the others meet."""

_LAUNCHED = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"}
"""What `torchrun` tells a process; a scheduler's WORLD_SIZE alone means nothing."""

_LOSSES = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process")
"""How torch's engines say in a RuntimeError that another process of the group has gone."""


class ProcessLostError(Exception):
    """Another process of the group has ended before its time; it has said itself why, or was killed."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that work on one stage together; one alone is a group of size 1.

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

    def barrier(self) -> None:
        """Return when all processes have come here."""
        if self.size > 1:
            from torch import distributed

            distributed.barrier()

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Let the first process go through a block, then the others, and wait for the last of them."""
        if not self.is_first:
            self.barrier()
        yield
        if self.is_first:
            self.barrier()
        self.barrier()

    @contextmanager
    def shared_folder(self, path: Path) -> Iterator[Path]:
        """Make a folder that all processes write to; it comes to lie at `path` when all of them have ended the block.

        Raises:
            ProcessLostError: the first process has failed, and taken the folder with it.
        """
        if self.is_first:
            with atomic_path(path) as folder:
                folder.mkdir()
                yield self.gather(folder)[0]
                self.barrier()
            return
        folder = self.gather(path)[0]
        try:
            yield folder
        except FileNotFoundError as error:
            if folder.exists():
                raise
            raise ProcessLostError from error
        self.barrier()


def count_processes() -> int:
    """Return how many processes run this stage together."""
    return int(os.environ["WORLD_SIZE"]) if is_launched() else 1


def is_launched() -> bool:
    """Return whether `torchrun`, or a stage itself, started this process."""
    return os.environ.keys() >= _LAUNCHED


def rank() -> int:
    """Return the rank of this process among those that run the stage together, before they have joined."""
    return int(os.environ["RANK"]) if count_processes() > 1 else 0


def local_rank() -> int:
    """Return the rank of this process among those of its machine."""
    return int(os.environ["LOCAL_RANK"]) if count_processes() > 1 else 0


def meeting() -> dict[str, Any]:
    """Return where the processes meet, as torch takes it: in a file, or, started by `torchrun`, where its variables say."""
    if (file := os.environ.get(MEETING)) is None:
        return {}
    return {"init_method": f"file://{file}", "rank": rank(), "world_size": count_processes()}


@contextmanager
def join_processes() -> Iterator[ProcessGroup]:
    """Join the processes that `torchrun` started, or be alone; for work on the CPU."""
    if count_processes() == 1:
        yield ProcessGroup(0, 1)
        return
    from torch import distributed

    distributed.init_process_group("gloo", timeout=TIMEOUT, **meeting())
    try:
        yield ProcessGroup(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


@contextmanager
def lost_processes() -> Iterator[None]:
    """Raise `ProcessLostError` where torch's engines say in their own words that another process has gone."""
    try:
        yield
    except RuntimeError as error:
        if count_processes() > 1 and any(words in str(error) for words in _LOSSES):
            raise ProcessLostError from error
        raise
