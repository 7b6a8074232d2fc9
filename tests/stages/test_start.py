"""Commands answer before what they work with is imported, and offer what the rooms know."""

import importlib
import subprocess
import sys

import pytest
from click import Choice, Command

from pipeline.predictions.label_formats import FORMATS
from pipeline.suggestions.suggest import SCORES
from tests.workspace import ROOT

COMMANDS = sorted(path.stem for path in (ROOT / "stages").glob("*.py") if path.stem not in {"__init__", "command"})
SLOW = {"dvc", "matplotlib", "numpy", "onnx", "PIL", "scipy", "timm", "torch", "torchvision", "zarr"}


def test_no_command_imports_what_it_works_with_before_it_works() -> None:
    imports = "; ".join(f"import stages.{name}" for name in COMMANDS)
    program = f"import sys; {imports}; print(*sorted({SLOW} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


@pytest.mark.parametrize(
    ("name", "option", "known"), [("predict", "name", FORMATS), ("suggest", "scores", SCORES)], ids=["predict", "suggest"]
)
def test_a_command_offers_what_its_room_knows(name: str, option: str, known: tuple[str, ...]) -> None:
    command = importlib.import_module(f"stages.{name}").main
    assert isinstance(command, Command)
    offered = {each.name: each.type for each in command.params}[option]
    assert isinstance(offered, Choice)
    assert list(offered.choices) == list(known)
