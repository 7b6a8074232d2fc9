"""Commands answer before what they work with is imported, and offer what the rooms know."""

import importlib
import subprocess
import sys

import pytest
from click import Choice, Command

from pipeline.annotations import write
from pipeline.predictions import label_formats
from pipeline.suggestions import suggest
from tests.workspace import ROOT

COMMANDS = sorted(path.stem for path in (ROOT / "stages").iterdir() if path.stem not in {"__init__", "__pycache__", "command"})
SLOW = {"dvc", "matplotlib", "numpy", "onnx", "PIL", "scipy", "timm", "torch", "torchvision", "zarr"}


def test_no_command_imports_what_it_works_with_before_it_works() -> None:
    imports = "; ".join(f"import stages.{name}" for name in COMMANDS)
    program = f"import sys; {imports}; print(*sorted({SLOW} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


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
