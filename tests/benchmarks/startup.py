"""What a command costs before it works: `--help` of each, and each stage on an experiment of a few tiny images."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ruamel.yaml import YAML

from tests.benchmarks.measure import Cost
from tests.benchmarks.table import Row
from tests.workspace import COMMANDS, ROOT, TINY, command_of, dvc, environment, make_workspace

REPEAT = 3


def startup(folder: Path) -> Iterator[Row]:
    """Compare every stage with the import of what it cannot do without: torch where it has a network, numpy elsewhere."""
    workspace = make_workspace(folder / "clone", TINY)
    dvc(workspace, "repro")
    imports = {name: spend(workspace, "-c", f"import {name}") for name in ("torch", "numpy")}
    for stage in YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]:
        name, *options = command_of(stage)
        cost = spend(workspace, "-m", f"stages.{name}", *options)
        reference = "torch" if name in {"pretrain", "infer", "train_student", "evaluate"} else "numpy"
        yield Row(f"{stage}, processor time", "13 images of 32x64", cost, f"import {reference}", imports[reference])
    costs = {name: spend(workspace, "-m", f"stages.{name}", "--help") for name in COMMANDS}
    slowest = max(costs, key=lambda name: costs[name].seconds)
    yield Row(f"--help of the slowest command, {slowest}, processor time", f"{len(costs)} commands", costs[slowest])
    yield Row("dars --help, processor time", "", spend(workspace, "-m", "dars", "--help", root=ROOT))


def spend(workspace: Path, *words: str, root: Path | None = None) -> Cost:
    """Run Python with these words; return its processor time, the best of a few."""
    return min((_spend_once(root or workspace, words) for _ in range(REPEAT)), key=lambda cost: cost.seconds)


def _spend_once(where: Path, words: Sequence[str]) -> Cost:
    variables = {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, *words], cwd=where, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}\n{said}")
    return Cost(usage.ru_utime + usage.ru_stime, 0)
