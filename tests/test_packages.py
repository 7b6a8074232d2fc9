"""`pyproject.toml` declares what the code imports or runs, and nothing else; the lock satisfies it."""

import ast
import importlib.metadata
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.workspace import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("dev", "export", "geo", "s3")
UNIMPORTED = {
    "dvc-s3": "DVC loads it for remotes at s3://",
    "flask": "moto's server is made of it",
    "flask-cors": "moto's server needs it",
    "import-linter": "`make lint` runs it",
    "mypy": "`make lint` runs it",
    "onnxscript": "torch.onnx writes by it",
    "pre-commit": "runs .pre-commit-config.yaml",
    "pytest-xdist": "`make test` spreads the tests by it",
    "ruff": "`make lint` runs it",
    "s3fs": "fsspec loads it for s3://",
    "torchvision": "`pipeline.runtime` imports it where a network needs it",
}
ELSEWHERE = {
    "datumaro": "tests/annotations/tools.py runs in an environment of its own: it pins an older numpy",
    "label_studio_sdk": "likewise, and it brings a hundred packages",
}
"""Modules that one script of the tests imports, and no environment of the project has."""


def declared(*extras: str) -> dict[str, Requirement]:
    """Return the declared requirements by canonical name, those of extras included."""
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in PROJECT["optional-dependencies"][extra])]
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, texts)}


def imported(*folders: str) -> dict[str, set[str]]:
    """Return the packages that give each imported module; a module of none gives an empty set."""
    modules = {module for folder in folders for path in (ROOT / folder).rglob("*.py") for module in modules_of(path)}
    given = importlib.metadata.packages_distributions()
    return {module: {canonicalize_name(package) for package in given.get(module, [])} for module in sorted(modules)}


def modules_of(path: Path) -> set[str]:
    """Return the top-level modules that a file imports, less the standard library's and the project's own."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"dars", "pipeline", "stages", "tests"}


def test_every_import_of_the_pipeline_is_declared() -> None:
    for module, packages in imported("dars", "pipeline", "stages").items():
        assert packages & declared("export", "geo").keys(), module


def test_every_import_of_the_tests_is_declared() -> None:
    for module, packages in imported("tests").items():
        assert module in ELSEWHERE or packages & declared("dev", "export", "geo").keys(), module


def test_every_declared_package_is_imported_or_has_a_reason() -> None:
    given = set().union(*imported("dars", "pipeline", "stages", "tests").values())
    needless = declared(*EXTRAS).keys() - given
    assert needless == set(UNIMPORTED)


def test_the_lock_satisfies_what_is_declared() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = (line.split("#")[0].strip().split("==") for line in lines if not line.startswith("#"))
    locked: dict[str, str] = {canonicalize_name(name): version for name, version in pins}
    for name, requirement in declared(*EXTRAS).items():
        assert requirement.specifier.contains(locked[name]), requirement


def test_the_lock_names_no_place_to_load_from_and_no_build_of_torch() -> None:
    text = (ROOT / "requirements.txt").read_text()
    assert not [word for word in ("://", "--", "+c", "\nnvidia", "\ncuda", "\ntriton") if word in text]
