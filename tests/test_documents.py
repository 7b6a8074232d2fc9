"""The documents hold: links lead somewhere, commands run as written, names exist, tables say where they come from."""

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser
from dvc.utils.hydra import apply_overrides

from dars.__main__ import main as dars
from pipeline.experiments.settings import list_settings, read_setting
from pipeline.params import Params, read_params
from pipeline.schema import read_yaml
from tests.dependencies import stages
from tests.documents import (
    DOCUMENTS,
    PRESENT,
    Command,
    anchors,
    commands,
    is_placeholder,
    links,
    name,
    overrides,
    prose,
    sections,
    spans,
    tables,
)
from tests.workspace import ROOT

SETTINGS = ROOT / "data/settings"
RESULTS = ROOT / "docs/results.md"
TYPED = {path: list(commands(path)) for path in PRESENT}
SET = [
    (name(path), text)
    for path in PRESENT
    for words in [*(command.words for command in TYPED[path]), *(span.split() for span in spans(path) if span.startswith("-S "))]
    for text in overrides(words)
]


def cases(program: str) -> list[Any]:
    found = [(name(path), command) for path, typed in TYPED.items() for command in typed if command.words[0] == program]
    assert found
    return [pytest.param(command, id=f"{document}: {' '.join(command.words)}") for document, command in found]


def given(main: click.Command, arguments: list[str], *, complete: bool) -> dict[str, Any]:
    """Return what is given to a command by name: all that it needs, where the document has it in full."""
    if "--help" in arguments:
        return {}
    parsed, _, _ = main.make_parser(click.Context(main)).parse_args(arguments)
    # What is not given holds a mark of click's own.
    options: dict[str, Any] = {key: value for key, value in parsed.items() if isinstance(value, bool | str | list | tuple)}
    if complete or any(word.startswith("-") for word in arguments):
        assert {str(option.name) for option in main.params if option.required} <= options.keys()
    return options


@cache
def dvc_parser() -> Any:
    return get_main_parser()


def exists_in(tree: Any, key: str) -> bool:
    first, _, rest = key.partition(".")
    return isinstance(tree, dict) and first in tree and (not rest or exists_in(tree[first], rest))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in links(path):
        target, _, anchor = link.partition("#")
        if not target.startswith(("https://", "s3://")):
            file = path.parent / target if target else path
            assert file.exists(), link
            assert not anchor or anchor in anchors(file), link


@pytest.mark.parametrize("command", [*cases("python"), *cases("torchrun")])
def test_every_python_command_exists_with_its_options(command: Command) -> None:
    words = command.words
    module, arguments = words[words.index("-m") + 1], list(words[words.index("-m") + 2 :])
    if not module.startswith("stages.") or is_placeholder(module):
        assert module in {"pytest", "venv"} or importlib.util.find_spec(module)
        return
    main = importlib.import_module(module).main
    if isinstance(main, click.Group):
        # In a sentence, the group may stand without one of its commands.
        if not arguments and not command.complete:
            return
        main, arguments = main.commands[arguments[0]], arguments[1:]
    assert isinstance(main, click.Command)
    options = given(main, arguments, complete=command.complete)
    if module in {"stages.experiment", "stages.table"} and not is_placeholder(options.get("name", "NAME")):
        setting = read_setting(SETTINGS, options["name"], on=options.get("on"))
        assert set(options.get("runs", ())) <= set(setting.runs)


@pytest.mark.parametrize("command", cases("dars"))
def test_every_command_of_the_package_exists_with_its_options(command: Command) -> None:
    called, *arguments = command.words[1:]
    if called != "--help":
        main = dars.get_command(click.Context(dars), called)
        assert main
        given(main, arguments, complete=command.complete)


@pytest.mark.parametrize("command", cases("dvc"))
def test_every_dvc_command_exists_with_its_options_and_stages(command: Command) -> None:
    words, parser = list(command.words[1:]), dvc_parser()
    try:
        parsed = parser.parse_args(words)
    except DvcParserError:
        # In a sentence, `dvc add` may stand without what is to be added.
        assert not command.complete
        with pytest.raises(SystemExit) as ended:
            parser.parse_args([*words, "-h"])
        assert ended.value.code == 0
        return
    if parsed.cmd in {"repro", "commit"}:
        rounds = read_params(ROOT / "params.yaml").rounds
        known = {f"{stage}@{key}" if "foreach" in body else stage for stage, body in stages().items() for key in rounds}
        assert {target for target in parsed.targets if not is_placeholder(target)} <= known


@pytest.mark.parametrize("command", cases("make"))
def test_every_make_target_exists(command: Command) -> None:
    targets = [word for word in command.words[1:] if "=" not in word]
    assert set(targets) <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize(("document", "text"), SET, ids=lambda value: value)
def test_every_parameter_that_is_set_exists_and_takes_the_value(document: str, text: str, tmp_path: Path) -> None:
    del document
    key, _, value = text.removeprefix("+").removeprefix("~").partition("=")
    present = key.rpartition(".")[0] if text.startswith("+") else key
    assert exists_in(read_yaml(ROOT / "params.yaml"), present)
    if not is_placeholder(value):
        copy = tmp_path / "params.yaml"
        copy.write_text((ROOT / "params.yaml").read_text())
        apply_overrides(copy, [text])
        if key.partition(".")[0] not in {"model", "calibration"}:  # of which some values need others
            read_params(copy)


@pytest.mark.parametrize("path", PRESENT, ids=name)
def test_every_parameter_and_path_in_a_sentence_exists(path: Path) -> None:
    tree = read_yaml(ROOT / "params.yaml")
    for span in spans(path):
        if span.startswith(("pipeline/", "stages/", "tests/", "docs/")) and " " not in span and not is_placeholder(span):
            assert (ROOT / span).exists(), span
        key = re.fullmatch(r"([a-z_]+(?:\.[a-z0-9_]+)+)(?:[:=].*)?", span)
        is_file = span.endswith((".json", ".md", ".py", ".tsv", ".yaml"))
        if key and key[1].partition(".")[0] in Params.model_fields and not is_file:
            assert exists_in(tree, key[1]), span


def test_every_section_of_the_parameters_has_its_row() -> None:
    rows = "".join(tables(prose(ROOT / "docs/parameters.md")))
    for section in Params.model_fields:
        assert f"`{section}`" in rows, section


def test_every_setting_has_its_row_and_the_other_way_round() -> None:
    lines = [line for table in tables(prose(ROOT / "docs/settings.md")) for line in table.splitlines()[2:]]
    named = {span.split()[0] for line in lines for span in re.findall(r"`([a-z0-9][^`]*)`", line.split("|")[1])}
    assert named == set(list_settings(SETTINGS)) - {"folder-small", "folder-gpu"}


def test_every_table_of_results_says_where_it_comes_from() -> None:
    for heading, text in sections(RESULTS):
        before = ""
        for table in tables(text):
            before, _, text = text.partition(table)  # noqa: PLW2901 - what is left of the section
            source = re.search(r"^Source: .+$", before, re.MULTILINE)
            assert source, heading
            assert re.search(r"`(python -m stages|dvc exp run)|\]\(", source[0]), heading


def test_a_table_of_results_that_lies_in_a_file_is_that_file() -> None:
    copied = [(text, file) for _, text in sections(RESULTS) for file in re.findall(r"\((\.\./data/tables/\w+\.md)\)", text)]
    assert copied
    for text, file in copied:
        assert (RESULTS.parent / file).read_text() in tables(text)


def test_the_table_of_the_readme_is_one_of_results() -> None:
    results = next(text for heading, text in sections(ROOT / "README.md") if heading == "Results")
    assert set(tables(results)) <= set(tables(prose(RESULTS)))


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=name)
def test_lines_of_prose_fit_a_terminal(path: Path) -> None:
    long = [line for line in prose(path).splitlines() if len(line) > 120 and not line.startswith(("|", "!", "Source:"))]
    assert not long
