"""The house keeps its own rules: what dvc.yaml declares is what the code uses, and every room says what it is for."""

import ast
import importlib
import inspect
import re
from itertools import pairwise
from pathlib import Path

import click
import pytest

from pipeline.params import InferenceProtocol, Params, read_params
from pipeline.schema import Section
from tests.dependencies import EDGES, ROOT, body, dependencies, entry, needless_share, script, stages, table

BODIES = {name: body(name) for name in stages()}
SCRIPTS = {name: script(name) for name in BODIES}
COMMANDS = sorted(
    path for path in (ROOT / "stages").rglob("*.py") if path.name not in {"__init__.py", "__main__.py", "command.py"}
)
METHODS = {
    "labeling_ratio": {"alpha", "rounds.${key}.alpha"},
    "depth": {"rounds.${key}.prev", "rounds.${key}.model"},
    "own_model": {"model", "rounds.${key}.model"},
    "inference.protocol": {f"inference.{name}" for name in InferenceProtocol.model_fields},
}
"""Methods of Params that read parameters, and which."""


@pytest.mark.parametrize("stage", BODIES)
def test_a_stage_depends_on_exactly_the_rooms_that_its_imports_reach(stage: str) -> None:
    found = dependencies(stage)
    assert found.declared == found.reached, "`python -m tests.dependencies --write` puts them right"


def test_few_of_the_lines_that_stages_depend_on_are_never_imported() -> None:
    assert needless_share() <= 0.15, "\n".join(table())


def test_what_no_stage_depends_on_exists_and_has_a_reason_and_tests() -> None:
    for edge, reason in EDGES.items():
        assert (ROOT / edge).exists()
        assert "(tests/" in reason


@pytest.mark.parametrize(
    ("edited", "stale"),
    [
        ("pipeline/datasets/camvid.py", {"prepare"}),
        ("pipeline/transforms/geometry.py", {"pretrain", "train_student"}),
        ("pipeline/labeling/sampling.py", {"solve_thresholds", "sample_labels"}),
        ("pipeline/labeling/dars.py", {"solve_thresholds", "sample_labels"}),
        ("pipeline/calibration/temperature.py", {"calibrate", "report"}),
        ("pipeline/experiments/settings.py", set()),
        ("pipeline/machine/scratch.py", set()),
    ],
)
def test_an_edited_file_makes_its_own_stages_stale_and_no_other(edited: str, stale: set[str]) -> None:
    assert {stage for stage in BODIES if entry(edited) in dependencies(stage).declared} == stale


def command_of(path: Path) -> ast.FunctionDef:
    """Return the one function of a command's file, `main`."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    assert [getattr(function, "name", "lambda") for function in functions] == ["main"]
    assert isinstance(functions[0], ast.FunctionDef)
    return functions[0]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_command_calls_rooms_and_has_no_loop_and_no_algorithm(path: Path) -> None:
    main = command_of(path)
    loops = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    assert not [ast.unparse(node) for node in ast.walk(main) if isinstance(node, loops)]
    end, work = main.body[-1].end_lineno, [node for node in main.body[1:] if not isinstance(node, ast.ImportFrom)]
    assert end is not None
    assert end - work[0].lineno + 1 <= 45


def parameters_read(path: Path) -> set[str]:
    """Return the keys of params.yaml that a command reads from its argument of the type Params, variables followed."""
    main = command_of(path)
    keys = {
        argument.arg: "" for argument in main.args.args if argument.annotation and ast.unparse(argument.annotation) == "Params"
    }
    [params] = keys

    def key_of(node: ast.AST) -> str | None:
        if isinstance(node, ast.Name):
            return keys.get(node.id)
        if isinstance(node, ast.Attribute) and (prefix := key_of(node.value)) is not None:
            return f"{prefix}.{node.attr}".lstrip(".")
        is_round = isinstance(node, ast.Call) and ast.unparse(node.func) == f"{params}.round"
        return "rounds.${key}" if is_round else None

    for node in ast.walk(main):
        if isinstance(node, ast.Assign):
            for target, value in zip(*(getattr(side, "elts", [side]) for side in (node.targets[0], node.value)), strict=False):
                if isinstance(target, ast.Name) and (key := key_of(value)):
                    keys[target.id] = key
    found: set[str] = set()
    for node in ast.walk(main):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"{params}.model_dump":
            [chosen] = [keyword for keyword in node.keywords if keyword.arg in {"include", "exclude"}]
            names = set(ast.literal_eval(chosen.value))
            found |= names if chosen.arg == "include" else set(Params.model_fields) - names
        elif isinstance(node, ast.Attribute) and (key := key_of(node)):
            found |= METHODS.get(key.removesuffix(".model_dump"), set() if key in {"round", "model_dump"} else {key})
    # Of a chain of attributes, the whole is what is read; of a section, what is called on it is not.
    return {key.removesuffix(".model_dump") for key in found if not any(other.startswith(f"{key}.") for other in found)}


@pytest.mark.parametrize("stage", BODIES)
def test_a_stage_declares_exactly_the_parameters_that_its_command_reads(stage: str) -> None:
    read = parameters_read(ROOT / "stages" / f"{SCRIPTS[stage]}.py")
    declared = {key for key in BODIES[stage]["params"] if key != "runtime"}
    read = {key for key in read if key.partition(".")[0] != "runtime"}
    assert {key for key in read if not any(f"{key}.".startswith(f"{name}.") for name in declared)} == set(), "read, not declared"
    assert {name for name in declared if not any(f"{key}.".startswith(f"{name}.") for key in read)} == set(), "declared, not read"


@pytest.mark.parametrize("stage", BODIES)
def test_every_path_of_a_command_is_a_declared_dep_or_out_and_the_other_way_round(stage: str) -> None:
    body = BODIES[stage]
    outs = [
        next(iter(out)) if isinstance(out, dict) else out for key in ("outs", "metrics", "plots") for out in body.get(key, [])
    ]
    artifacts = {dep for dep in body["deps"] if dep.startswith("data/")} | set(outs)
    assert set(re.findall(r"data/\S+", body["cmd"])) == artifacts


@pytest.mark.parametrize("stage", BODIES)
def test_no_shell_stands_between_dvc_and_its_stage(stage: str) -> None:
    assert BODIES[stage]["cmd"].startswith(f"exec python -m stages.{SCRIPTS[stage]} ")


@pytest.mark.parametrize("script", sorted(set(SCRIPTS.values())))
def test_every_option_and_command_has_help(script: str) -> None:
    command = importlib.import_module(f"stages.{script}").main
    assert isinstance(command, click.Command)
    assert command.help
    for option in command.params:
        assert isinstance(option, click.Option)
        assert option.help, option.name


@pytest.mark.parametrize("folder", sorted(path.parent for path in (ROOT / "pipeline").glob("*/__init__.py")))
def test_every_room_opens_with_its_charter_and_imports_nothing(folder: Path) -> None:
    tree = ast.parse((folder / "__init__.py").read_text())
    charter = ast.get_docstring(tree) or ""
    assert len(tree.body) == 1
    assert all(word in charter for word in ("In:", "Out:", "Never:"))


def explained_fields(model: type[Section]) -> set[str]:
    """Return the fields of a section, its own and inherited ones, below which stands a text."""
    sources = [inspect.getsource(each) for each in model.__mro__ if issubclass(each, Section) and each is not Section]
    bodies = [node.body for source in sources for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    pairs = [pair for statements in bodies for pair in pairwise(statements)]
    return {
        ast.unparse(field.target)
        for field, text in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def test_every_parameter_says_what_it_means() -> None:
    def walk(model: type[Section], path: str) -> None:
        explained = explained_fields(model)
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, Section):
                assert inner.__doc__, path + name
                walk(inner, f"{path}{name}.")
            elif name != "rounds":
                assert name in explained, path + name

    walk(Params, "")


def test_the_readme_map_names_every_stage_and_room() -> None:
    readme = (ROOT / "README.md").read_text()
    for stage in set(SCRIPTS.values()):
        assert f"`{stage}`" in readme, stage
    for path in (ROOT / "pipeline").iterdir():
        if path.name not in {"__init__.py", "__pycache__"}:
            assert f"`{path.name}`" in readme or f"`{path.name}/`" in readme, path.name


def test_foreach_makes_a_stage_for_every_round() -> None:
    # Integer keys would make every foreach stage vanish without a word (iterative/dvc #8903).
    rounds = read_params(ROOT / "params.yaml").rounds
    assert all(isinstance(key, str) for key in rounds)
    foreach = [name for name, stage in stages().items() if "foreach" in stage]
    assert foreach == ["infer", "calibrate", "solve_thresholds", "sample_labels", "statistics", "train_student", "evaluate"]
    assert all(stages()[name]["foreach"] == "${rounds}" for name in foreach)


def test_no_file_is_named_for_what_it_is_not() -> None:
    banned = {"utils.py", "common.py", "helpers.py", "types.py", "constants.py", "base.py", "misc.py"}
    assert not [path for part in ("pipeline", "stages") for path in (ROOT / part).rglob("*.py") if path.name in banned]
