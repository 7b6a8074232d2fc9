"""A copy of the project with an experiment small enough to run in a test."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.prefork import prefork_folder

if TYPE_CHECKING:
    import psutil  # its functions import it: benchmarks run on machines without it

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "params.yaml",
    "pipeline",
    "stages",
    "data/lists",
    "data/settings",
    "data/suggestions/README.md",
    "data/tables/README.md",
    "data/raw/streets",
)

TINY: Mapping[str, Any] = {
    "data.labeled_fraction": 0.3,
    "data.streets.train_images": 10,
    "data.streets.val_images": 3,
    "data.streets.height": 32,
    "data.streets.width": 64,
    "model.head_width": 8,
    "augmentation.crop_height": 16,
    "augmentation.crop_width": 32,
    "training.log_every": 2,
    "pretrain.steps": 6,
    "pretrain.batch_size": 2,
    "student.steps": 4,
    "student.labeled_batch_size": 2,
    "student.unlabeled_batch_size": 2,
    "softmax_store.shard_mib": 0.1,
    "evaluation.examples": 2,
    "runtime.threads": 1,
    "runtime.loader_workers": 0,
    "runtime.workers": 2,
    "runtime.checkpoint_every": 2,
}

COMMANDS = sorted(path.stem for path in (ROOT / "stages").iterdir() if path.stem not in {"__init__", "__pycache__", "command"})
"""What `python -m stages.NAME` runs: stages of DVC and others."""


def make_workspace(folder: Path, changes: Mapping[str, Any] = TINY) -> Path:
    """Copy the project into `folder`, an empty git repository, with `changes` to its parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    shutil.copy2(ROOT / "data/.gitignore", folder / "data/.gitignore")
    change_params(folder, changes)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def change_params(folder: Path, changes: Mapping[str, Any]) -> None:
    """Set dotted keys in the workspace's params.yaml."""
    path = folder / "params.yaml"
    yaml = YAML()
    tree = yaml.load(path.read_text())
    for key, value in changes.items():
        *parents, last = key.split(".")
        node = tree
        for parent in parents:
            node = node[parent]
        node[last] = value
    with path.open("w") as handle:
        yaml.dump(tree, handle)


def environment() -> dict[str, str]:
    """Return the environment of a plain shell in which this interpreter's folder comes first."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return inherited | {"SHELL": "/bin/sh", "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def prefork_environment() -> dict[str, str]:
    """Return `environment()` in which stages and dvc are forks of a server that has imported their packages."""
    plain = environment()
    folder = prefork_folder()
    return plain if folder is None else plain | {"PATH": f"{folder}{os.pathsep}{plain['PATH']}"}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "state")


def dvc(folder: Path, *arguments: str, check: bool = True, alone: bool = False) -> subprocess.CompletedProcess[str]:
    """Run dvc in the workspace as a user would; `alone` with stages in processes that no other shares its imports with."""
    identity = {f"GIT_{role}_{kind}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for kind in ("NAME", "EMAIL")}
    variables = (environment() if alone else prefork_environment()) | identity
    done = subprocess.run(["dvc", *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"dvc {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
    return done


def stages_run(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the stages that a repro or an experiment executed, in order."""
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage '")]


def command_of(stage: str) -> tuple[str, ...]:
    """Return the words of a stage's command as dvc.yaml has it, in round 1 where it has rounds, with its outs below `out/`."""
    body = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    body = body.get("do", body)
    command = body["cmd"].removeprefix("exec python -m stages.")
    for key in ("outs", "metrics", "plots"):
        for out in body.get(key, []):
            path = next(iter(out)) if isinstance(out, dict) else out
            command = command.replace(path, f"out/{Path(path).name}")
    return tuple(command.replace("${key}", "1").replace("${item.prev}", "0").split())


def said(stderr: str) -> list[str]:
    """Return what a command said besides its own lines of progress, which begin with the name of the stage."""
    return [line for line in stderr.splitlines() if line.strip() and not re.match(r"[-_a-z]+(@\d+)?: ", line)]


def run_stage(folder: Path, *command: str, alone: bool = False) -> subprocess.CompletedProcess[str]:
    """Run one stage's command in the workspace, without dvc; `alone` in a process that no other shares its imports with."""
    words = ["python", "-m", f"stages.{command[0]}", *command[1:]]
    variables = environment() if alone else prefork_environment()
    return subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def runs_module(process: "psutil.Process", module: str) -> bool:
    """Return whether a process runs a module of Python; one that ends while it is asked does not."""
    import psutil

    try:
        return module in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def all_end(processes: Iterable["psutil.Process"], *, within: float = 10.0) -> bool:
    """Return whether all processes end within some seconds; one that nobody has fetched the exit code of counts as ended."""
    until = time.monotonic() + within
    while any(map(_runs, processes)):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _runs(process: "psutil.Process") -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
