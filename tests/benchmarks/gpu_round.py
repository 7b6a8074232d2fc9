"""A whole round by the commands of `dvc.yaml`, without dvc: what each stage takes."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.experiments.overrides import merge
from tests.benchmarks.inference import read_changed
from tests.benchmarks.overhead import run_command, spell_commands
from tests.workspace import ROOT

ONE_ROUND = {"1": {"prev": 0, "alpha": None, "beta_min": 0.0, "beta_max": 0.0, "strength": 1.0, "model": None}}

ROUND = spell_commands(("1",))


@dataclass(frozen=True)
class Data:
    """What a round is of.

    Attributes:
        name: with the size, for the table.
        changes: to the setting `folder-small`.
    """

    name: str
    changes: Mapping[str, Any]

    @classmethod
    def camvid(cls, root: Path) -> "Data":
        """Return CamVid, one frame in ten labeled, another video held out."""
        return cls("CamVid", {"data": {"name": "camvid", "root": str(root.absolute()), "labeled_fraction": 0.1}})

    @classmethod
    def streets(cls) -> "Data":
        """Return drawn streets: they need no files."""
        sizes = {"seed": 0, "train_images": 200, "val_images": 40, "height": 256, "width": 512}
        data = {"name": "streets", "root": "data/raw/streets", "labeled_fraction": 0.1, "streets": sizes}
        return cls("240 drawn streets of 256x512", {"data": data})


def time_round(folder: Path, data: Data, device: str, commands: Sequence[str] = ROUND) -> Iterator[str]:
    """Yield the lines of a table: wall time of every command of round 0 and one round, start-up included, and of all."""
    workspace = folder / "round"
    for name in ("pipeline", "stages", "data/lists"):
        shutil.copytree(ROOT / name, workspace / name, ignore=shutil.ignore_patterns("__pycache__"))
    workers = max(len(os.sched_getaffinity(0)) - 1, 1)
    own = {
        "rounds": ONE_ROUND,
        "model": {"weights": "none"},
        "runtime": {"device": device, "workers": workers, "loader_workers": workers},
    }
    params = read_changed("folder-small", merge(own, data.changes))
    (workspace / "params.yaml").write_text(params.model_dump_json())
    yield from ("", f"| one round of {data.name} | wall time |", "|---|---|")
    total = 0.0
    for command in commands:
        stage = command.split()[3].removeprefix("stages.")
        begun = time.perf_counter()
        try:
            run_command(workspace, command)
        except RuntimeError as error:
            yield f"| {stage} | failed: {str(error).strip().splitlines()[-1]} |"
            return
        total += time.perf_counter() - begun
        yield f"| {stage} | {time.perf_counter() - begun:.1f} s |"
    yield f"| all | {total:.1f} s |"
