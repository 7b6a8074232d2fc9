"""Commands answer before what they work with is imported, and offer what the rooms know."""

import importlib
import subprocess
import sys

import pytest
from click import Choice, Command, Option

from pipeline.annotations import write
from pipeline.predictions import label_formats
from pipeline.suggestions import suggest
from tests.workspace import COMMANDS, ROOT

SLOW = {"dvc", "matplotlib", "numpy", "onnx", "PIL", "scipy", "timm", "torch", "torchvision", "zarr"}


def test_no_command_imports_what_it_works_with_before_it_works() -> None:
    imports = "; ".join(f"import stages.{name}" for name in COMMANDS)
    program = f"import sys; {imports}; print(*sorted({SLOW} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


WORDS = {"experiment": {"name", "runs"}, "table": {"name"}}
"""What commands take without an option; click has no help for it."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_every_option_of_it_have_help(name: str) -> None:
    main = importlib.import_module(f"stages.{name}").main
    for command in (main, *getattr(main, "commands", {}).values()):
        assert command.help
        options = [option for option in command.params if option.name not in WORDS.get(name, set())]
        assert all(isinstance(option, Option) and option.help for option in options)


OFFERS = {
    "annotations.export": ("name", write.FORMATS),
    "predict": ("name", label_formats.FORMATS),
    "suggest": ("scores", suggest.SCORES),
}


@pytest.mark.parametrize("name", OFFERS)
def test_a_command_offers_what_its_room_knows(name: str) -> None:
    option, known = OFFERS[name]
    command = importlib.import_module(f"stages.{name}").main
    assert isinstance(command, Command)
    offered = {each.name: each.type for each in command.params}[option]
    assert isinstance(offered, Choice)
    assert list(offered.choices) == list(known)
