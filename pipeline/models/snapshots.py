"""Checkpoints of one training on its way: a folder that lists the steps after which they were taken."""

import itertools
import shutil
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from pipeline.files import atomic_path
from pipeline.schema import Artifact


class Snapshots(Artifact):
    """`snapshots.json`, beside the checkpoints that it lists; all but the last step, whose network is the round's own."""

    described_as: ClassVar[str] = "a list of snapshots"
    written_by: ClassVar[str] = "pretrain or train_student"

    last_step: Annotated[int, Field(ge=0)]
    """Steps of the whole training."""
    steps: tuple[Annotated[int, Field(ge=1)], ...]
    """Ascending."""

    def checkpoints(self, folder: Path, *, last: Path) -> dict[int, Path]:
        """Return the checkpoints in `folder` by step, and `last`, the round's own, behind them; none where none was taken."""
        taken = {step: snapshot_path(folder, step) for step in self.steps}
        return {**taken, self.last_step: last} if taken else {}

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        ends = (*self.steps, self.last_step)
        if any(first >= second for first, second in itertools.pairwise(ends)):
            raise ValueError("expected ascending steps, all before last_step")
        return self


def snapshot_path(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}.safetensors"


def snapshot_steps(every: int, last_step: int) -> tuple[int, ...]:
    """Return the steps after which snapshots are taken: each `every`-th before the last; none for 0."""
    return tuple(range(every, last_step, every)) if every else ()


def publish_snapshots(out: Path, folder: Path, *, every: int, last_step: int) -> None:
    """Copy a finished training's snapshots from its scratch folder to the stage's out, whole or not at all."""
    steps = snapshot_steps(every, last_step)
    with atomic_path(out) as partial:
        partial.mkdir()
        for step in steps:
            shutil.copyfile(snapshot_path(folder, step), snapshot_path(partial, step))
        Snapshots(last_step=last_step, steps=steps).write(partial / "snapshots.json")
