"""The tiny experiment, finished once: its stages, and the sha256 of everything below `data/` as the reference."""

import ast
import importlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.files import digest
from tests.torture.child import BOUND, Ended, Process, at_changes, forked, record_reads
from tests.workspace import ROOT, TINY, change_params, commit, dvc, make_workspace

ROUNDS = {"1": {"prev": 0, "alpha": None, "beta_min": 0.2, "beta_max": 0.5, "strength": 1.0, "model": None}}
TORTURED = {**TINY, "rounds": ROUNDS, "data.holdout_fraction": 0.4, "calibration": "temperature", "data.labeled_fraction": 0.5}
OTHER = {"seed": 1, "alpha": 0.3}
"""What another experiment has; its files lie about to be mistaken for this one's."""


@dataclass(frozen=True)
class Stage:
    """A stage of `dvc.yaml`, in the one round that there is.

    Attributes:
        name: as DVC has it.
        words: those of its command behind the module's name.
        reads: files that it opens, below the workspace; filled in by a run.
        changes: how often it changes the file system.
        seconds: how long it takes in a fork.
    """

    name: str
    module: str
    words: tuple[str, ...]
    outs: tuple[str, ...]
    reads: tuple[str, ...] = ()
    changes: int = 0
    seconds: float = 0.0

    def run(self, prepare: Callable[[], object] = lambda: None) -> Callable[[], object]:
        """Return what runs it in a fork."""
        return forked(self.module, self.words, prepare=prepare)


def read_stages() -> list[Stage]:
    """Return the stages in the order of `dvc.yaml`: that in which they run."""
    stages = []
    for name, body in YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"].items():
        inner = body.get("do", body)
        outs = [
            out if isinstance(out, str) else next(iter(out)) for key in ("outs", "metrics", "plots") for out in inner.get(key, ())
        ]
        cmd, *outs = [text.replace("${key}", "1").replace("${item.prev}", "0") for text in (inner["cmd"], *outs)]
        _, _, _, module, *words = cmd.split()
        stages.append(Stage(f"{name}@1" if "foreach" in body else name, module, tuple(words), tuple(outs)))
    return stages


def hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below `data/` by its path."""
    return {str(path.relative_to(folder)): digest(path) for path in sorted((folder / "data").rglob("*")) if path.is_file()}


@dataclass(frozen=True)
class Experiment:
    """The reference.

    Attributes:
        folder: a finished workspace; nothing changes it.
        other: a finished workspace of another experiment.
        interrupted: by stage, a `.scratch` that a killed run left.
        expected: the sha256 of every file below `data/`.
    """

    folder: Path
    other: Path
    interrupted: Mapping[str, Path]
    stages: Sequence[Stage]
    expected: Mapping[str, str]

    def stage(self, name: str) -> Stage:
        """Return the stage of a name."""
        return next(stage for stage in self.stages if stage.name == name)


def preload() -> None:
    """Import what the stages import, before anything is forked; no thread is started."""
    commands = {"stages.clean", *(stage.module for stage in read_stages())}
    files = [ROOT.joinpath(*command.split(".")).with_suffix(".py") for command in commands]
    nodes = chain.from_iterable(ast.walk(ast.parse(file.read_text())) for file in files)
    for module in (
        *sorted(commands),
        *sorted({node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}),
        "torch.utils.data",
        "matplotlib.backends.backend_agg",
        "matplotlib.backends.backend_svg",
    ):
        importlib.import_module(module)


def build_experiment(base: Path, *, with_dvc: bool) -> Experiment:
    """Run the experiment below `base` in forks and, with DVC, as `dvc repro`: the same bytes, or the forks are no stages.

    Raises:
        AssertionError: a stage failed, or a fork wrote other bytes than DVC's run.
    """
    folder, other = make_workspace(base / "reference", TORTURED), make_workspace(base / "other", {**TORTURED, **OTHER})
    stages = [_measured(folder, stage) for stage in read_stages()]
    for stage in stages:
        _finish(Process(other, stage.run(), log=base / "log"))
    expected = hashes(folder)
    if with_dvc:
        shutil.rmtree(folder)
        make_workspace(folder, TORTURED)
        dvc(folder, "repro")
        commit(folder)
        assert hashes(folder) == expected, "forked stages wrote other bytes than dvc repro"
    experiment = Experiment(folder, other, {}, stages, expected)
    kept = {name: _interrupt(base, experiment, name) for name in ("pretrain", "infer@1", "train_student@1")}
    return Experiment(folder, other, kept, stages, expected)


def _measured(folder: Path, stage: Stage) -> Stage:
    """Run a stage and return it with what it reads, how often it changes files and how long it takes."""
    reads: set[str] = set()
    changes: list[str] = []

    def prepare() -> None:
        record_reads(reads)
        at_changes(lambda _, event, path: changes.append(f"{event} {path}"))

    def run() -> None:
        try:
            stage.run(prepare)()
        finally:
            record.write_text(json.dumps([sorted(reads), len(changes), os.times().elapsed - begun]))

    record, begun = folder.parent / "record.json", os.times().elapsed
    _finish(Process(folder, run, log=folder.parent / "log"))
    opened, count, seconds = json.loads(record.read_text())
    given = [word for word in stage.words if (folder / word).is_file() and word not in stage.outs]
    files = sorted({path for path in (*opened, *given, "params.yaml") if (folder / path).is_file() and "/." not in f"/{path}"})
    own = [path for path in files if path.startswith(("data/prepared", "data/rounds", "params.yaml")) and not is_out(path, stage)]
    return Stage(stage.name, stage.module, stage.words, stage.outs, tuple(own), count, seconds)


def is_out(path: str, stage: Stage) -> bool:
    """Return whether a file is one of the stage's outs or lies in one."""
    return any(path == out or path.startswith(f"{out}/") for out in stage.outs)


def _finish(process: Process) -> Ended:
    ended = process.end(2 * BOUND)
    assert ended.code == 0, f"the reference failed: {ended}"
    return ended


def _interrupt(base: Path, experiment: Experiment, name: str) -> Path:
    """Kill a stage when most of its work is done and return what it leaves in `.scratch`."""
    stage, folder = experiment.stage(name), base / "interrupted" / name
    shutil.copytree(experiment.folder, folder, ignore=shutil.ignore_patterns(".dvc", ".git"))
    remove(folder, stage.outs)

    def kill(number: int, event: str, path: str) -> None:
        if number >= 0.6 * stage.changes and "resume" not in path:
            os.kill(os.getpid(), 9)

    Process(folder, stage.run(lambda: at_changes(kill)), log=base / "log").end()
    return folder / ".scratch"


def remove(folder: Path, names: Sequence[str]) -> None:
    """Remove files and folders below a folder."""
    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Bench:
    """A copy of the experiment to torture.

    Attributes:
        folder: the copy, made anew by `restore`.
        log: what the last process said.
    """

    experiment: Experiment
    folder: Path
    log: Path

    def restore(self, *, scratch: str | None = None) -> None:
        """Bring the copy back to the finished experiment; with the `.scratch` that a killed stage left, if named."""
        if not (self.folder / "pipeline").exists():
            copied = shutil.ignore_patterns(".dvc", ".git", "data", ".scratch")
            shutil.copytree(self.experiment.folder, self.folder, ignore=copied, dirs_exist_ok=True)
        for name in ("data", ".scratch"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.copytree(self.experiment.folder / "data", self.folder / "data")
        shutil.copy(self.experiment.folder / "params.yaml", self.folder / "params.yaml")
        if scratch:
            shutil.copytree(self.experiment.interrupted[scratch], self.folder / ".scratch")

    def start(self, run: Callable[[], object]) -> Process:
        """Start a process in the copy."""
        return Process(self.folder, run, log=self.log)

    def remove_outs(self, stage: Stage) -> None:
        """Remove a stage's outs."""
        remove(self.folder, stage.outs)

    def different(self) -> list[str]:
        """Return the files that are missing or too many, or have other bytes than the reference."""
        found, expected = hashes(self.folder), self.experiment.expected
        return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))

    def half_written(self, stage: Stage) -> list[str]:
        """Return the stage's outs that are there under their names and are not what they must be."""
        there = [out for out in stage.outs if (self.folder / out).exists()]
        return [out for out in there if digest(self.folder / out) != digest(self.experiment.folder / out)]

    def left_over(self) -> list[str]:
        """Return partial files, and work in `.scratch` that a completed run must have taken away."""
        scratch = self.folder / ".scratch"
        paths = [*self.folder.glob("data/**/.*"), *(path for path in scratch.rglob("*") if "locks" not in path.parts)]
        return [str(path.relative_to(self.folder)) for path in paths if path.is_file() and path.name != ".gitignore"]

    def changed(self, changes: Mapping[str, object]) -> None:
        """Change parameters of the copy."""
        change_params(self.folder, changes)
