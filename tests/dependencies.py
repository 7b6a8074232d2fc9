"""What each stage declares as code dependencies in `dvc.yaml`, held against what its imports reach.

`python -m tests.dependencies` prints declared against imported lines; `--write` puts the reached rooms into `dvc.yaml`.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grimp
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]

EDGES = {
    "pipeline/params.py": "has no default: DVC tracks the values, and a wrong one is an error (tests/test_params.py)",
    "pipeline/machine": "threads, processes, locks and scratch folders: any number of them and any kill gives the same bytes"
    " (tests/stages: test_experiment, test_resume, test_processes)",
    "stages/command.py": "errors as one line, progress, options: nothing that it returns goes into an artifact"
    " (tests/stages: test_errors, test_experiment)",
}
"""Modules that cannot change a byte of a result, each with its reason and the tests that hold it: no stage depends on them."""


@dataclass(frozen=True)
class Dependencies:
    """Of one stage.

    Attributes:
        declared: entries of `deps` that are code.
        reached: entries that its imports reach, edges left out.
        declared_lines: lines of all files below the declared entries.
        reached_lines: lines of the files among them that are imported.
    """

    declared: frozenset[str]
    reached: frozenset[str]
    declared_lines: int
    reached_lines: int


@cache
def stages() -> dict[str, Any]:
    """Return the stages of `dvc.yaml` as it spells them."""
    tree: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]
    return tree


def body(stage: str) -> dict[str, Any]:
    """Return what a stage runs, of a foreach stage in terms of its key."""
    own: dict[str, Any] = stages()[stage]
    inner: dict[str, Any] = own.get("do", own)
    return inner


def script(stage: str) -> str:
    """Return the name of the module in `stages/` that a stage runs."""
    found = re.search(r"-m stages\.(\w+)", body(stage)["cmd"])
    assert found
    return found[1]


@cache
def import_graph() -> grimp.ImportGraph:
    """Return who imports whom."""
    return grimp.build_graph("pipeline", "stages")


def entry(file: str) -> str:
    """Return the entry of `deps` that a file belongs to: its room, or itself where it lies beside the rooms."""
    parts = Path(file).parts
    return file if parts[0] == "stages" or len(parts) == 2 else str(Path(*parts[:2]))


@cache
def reached_files(stage: str) -> frozenset[str]:
    """Return the files that a stage's imports reach, edges left out."""
    start = f"stages.{script(stage)}"
    return frozenset(
        file
        for module in import_graph().find_upstream_modules(start) | {start}
        if "." in module and entry(file := source(module)) not in EDGES
    )


def source(module: str) -> str:
    """Return the file of a module."""
    path = Path(*module.split("."))
    return str(path / "__init__.py") if (ROOT / path).is_dir() else f"{path}.py"


@cache
def dependencies(stage: str) -> Dependencies:
    """Compare what a stage declares with what it imports."""
    declared = frozenset(dep for dep in body(stage)["deps"] if dep.startswith(("stages/", "pipeline/")))
    files = reached_files(stage)
    declared_files = {
        str(path.relative_to(ROOT))
        for dep in declared
        for path in ([ROOT / dep] if dep.endswith(".py") else (ROOT / dep).rglob("*.py"))
    }
    return Dependencies(
        declared,
        frozenset(map(entry, files)),
        sum(map(lines, declared_files)),
        sum(map(lines, files & declared_files)),
    )


@cache
def lines(file: str) -> int:
    """Count the lines of a file."""
    return len((ROOT / file).read_text().splitlines())


def needless_share() -> float:
    """Return the share of all declared lines that no stage imports."""
    every = [dependencies(stage) for stage in stages()]
    return 1 - sum(one.reached_lines for one in every) / sum(one.declared_lines for one in every)


def table() -> Iterator[str]:
    """Spell the comparison, a stage to a line."""
    yield f"{'stage':<22}{'imported':>9}{'declared':>9}{'needless':>9}"
    for stage in stages():
        found = dependencies(stage)
        share = 1 - found.reached_lines / found.declared_lines
        yield f"{stage:<22}{found.reached_lines:>9}{found.declared_lines:>9}{share:>9.0%}"
    yield f"{'all':<22}{'':>18}{needless_share():>9.0%}"


def write_dependencies() -> None:
    """Put the reached entries into `dvc.yaml`, in place of the declared ones."""
    path = ROOT / "dvc.yaml"
    text = path.read_text()
    for stage in stages():
        head = re.search(rf"^  {stage}:\n", text, re.MULTILINE)
        assert head
        following = re.compile(r"^  \w+:\n|^\w+:", re.MULTILINE).search(text, head.end())
        end = following.start() if following else len(text)
        block = text[head.start() : end]
        code = re.search(r"(?:^ +- (?:stages|pipeline)/\S+\n)+", block, re.MULTILINE)
        assert code
        indent = re.match(r" +", code[0])
        assert indent
        ordered = sorted(set(map(entry, reached_files(stage))), key=lambda name: (name.startswith("pipeline/"), name))
        written = "".join(f"{indent[0]}- {name}\n" for name in ordered)
        text = text[: head.start()] + block[: code.start()] + written + block[code.end() :] + text[end:]
    path.write_text(text)
    stages.cache_clear()
    dependencies.cache_clear()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the reached rooms into dvc.yaml")
    if parser.parse_args().write:
        write_dependencies()
    print("\n".join(table()))  # noqa: T201 - a command's output
