"""What DVC adds to the stages: a whole tiny experiment by `dvc repro`, beside the same commands one after another."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.benchmarks.measure import Cost
from tests.benchmarks.table import Row
from tests.workspace import ROOT, TINY, dvc, make_workspace, run_stage

ORDER = ("infer", "calibrate", "solve_thresholds", "sample_labels", "statistics", "train_student", "evaluate")


def overhead(folder: Path) -> Iterator[Row]:
    """Compare both, and time a `dvc repro` that has nothing to do."""
    workspace = make_workspace(folder / "clone", TINY)
    whole = _timed(lambda: dvc(workspace, "repro", alone=True))
    nothing = _timed(lambda: dvc(workspace, "repro", alone=True))
    commands = [*spell_commands(("1", "2")), _stages()["report"]["cmd"]]
    for name in ("prepared", "report", "rounds"):
        shutil.rmtree(workspace / "data" / name)

    def run_all() -> None:
        for command in commands:
            run_command(workspace, command)

    yield Row("dvc repro of a tiny experiment", f"{len(commands)} stages", whole, "its commands alone", _timed(run_all))
    yield Row("dvc repro with nothing to do", f"{len(commands)} stages", nothing)


def spell_commands(rounds: Sequence[str]) -> list[str]:
    """Return the commands of `dvc.yaml` in order, to the evaluation of the last round; each round goes on with the one before."""
    stages = _stages()
    commands = [stages[name]["cmd"] for name in ("prepare", "pretrain", "evaluate_pretrained")]
    for key, previous in zip(rounds, ("0", *rounds), strict=False):
        commands += [stages[name]["do"]["cmd"].replace("${key}", key).replace("${item.prev}", previous) for name in ORDER]
    return commands


def run_command(workspace: Path, command: str) -> None:
    """Run a command of `dvc.yaml` without dvc."""
    done = run_stage(workspace, *command.removeprefix("exec python -m stages.").split(), alone=True)
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stderr}")


def _stages() -> Any:
    return YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]


def _timed(work: Callable[[], object]) -> Cost:
    begun = time.perf_counter()
    work()
    return Cost(time.perf_counter() - begun, 0)
