"""What DVC adds to the stages: a whole tiny experiment by `dvc repro`, beside the same commands one after another."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ruamel.yaml import YAML

from tests.benchmarks.measure import Cost
from tests.benchmarks.table import Row
from tests.workspace import TINY, dvc, make_workspace, run_stage

ORDER = ("infer", "calibrate", "solve_thresholds", "sample_labels", "statistics", "train_student", "evaluate")


def overhead(folder: Path) -> Iterator[Row]:
    """Compare both, and time a `dvc repro` that has nothing to do."""
    workspace = make_workspace(folder / "clone", TINY)
    whole = _timed(lambda: dvc(workspace, "repro"))
    nothing = _timed(lambda: dvc(workspace, "repro"))
    stages = YAML(typ="safe", pure=True).load((workspace / "dvc.yaml").read_text())["stages"]
    commands = [stages[name]["cmd"] for name in ("prepare", "pretrain", "evaluate_pretrained")]
    for key, previous in (("1", "0"), ("2", "1")):
        commands += [stages[name]["do"]["cmd"].replace("${key}", key).replace("${item.prev}", previous) for name in ORDER]
    commands.append(stages["report"]["cmd"])
    for name in ("prepared", "report", "rounds"):
        shutil.rmtree(workspace / "data" / name)

    def run_all() -> None:
        for command in commands:
            done = run_stage(workspace, *command.removeprefix("exec python -m stages.").split())
            if done.returncode:
                raise RuntimeError(f"{command}\n{done.stderr}")

    yield Row("dvc repro of a tiny experiment", f"{len(commands)} stages", whole, "its commands alone", _timed(run_all))
    yield Row("dvc repro with nothing to do", f"{len(commands)} stages", nothing)


def _timed(work: Callable[[], object]) -> Cost:
    begun = time.perf_counter()
    work()
    return Cost(time.perf_counter() - begun, 0)
