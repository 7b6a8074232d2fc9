"""The command line `dars`: a line for each command, nothing heavy before one is called, and what works in any folder."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dars.__main__ import ANYWHERE, IN_A_WORKSPACE, main
from pipeline.params import find_params
from tests.datasets.layouts import write_folder
from tests.export.cases import noise_images, write_checkpoint
from tests.workspace import COMMANDS, ROOT, change_params, environment

NO_STAGES = [name for name in COMMANDS if f"{importlib.import_module(f'stages.{name}').__doc__}".startswith("Command `")]
FOREIGN = "seed: 1\nmodel: {name: forest}\ndata: x\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of somebody's own, with a checkpoint and an image."""
    write_checkpoint(tmp_path / "student.safetensors")
    Image.fromarray(noise_images(1, 30, 40)[0]).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dars(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), prog_name="dars")


def predict(*words: str) -> Result:
    return dars("predict", "--model", "student.safetensors", "--images", "photo.png", "--out", "out", *words)


def test_every_command_of_the_project_and_no_stage_has_its_line() -> None:
    assert sorted([*ANYWHERE, *IN_A_WORKSPACE]) == NO_STAGES
    lines = dars("--help").stdout.splitlines()
    for name, text in (ANYWHERE | IN_A_WORKSPACE).items():
        [line] = [line for line in lines if line.split()[:1] == [name]]
        assert line.strip().endswith(text)
        assert len(line) <= 80


@pytest.mark.parametrize("name", NO_STAGES)
def test_every_command_is_found_by_its_name(name: str) -> None:
    done = dars(name, "--help")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"Usage: dars {name} ")


def test_help_imports_nothing_heavy_and_takes_next_to_no_time() -> None:
    code = """
import sys, time
sys.argv = ["dars", "--help"]
from dars.__main__ import run
try:
    run()
except SystemExit as end:
    assert not end.code
heavy = {"torch", "numpy", "scipy", "pydantic", "PIL", "zarr", "dvc", "matplotlib", "tqdm", "ruamel"} & set(sys.modules)
assert not heavy, heavy
assert time.process_time() < 0.3, time.process_time()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_python_runs_the_package_as_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dars", "nothing"], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: dars ")
    assert "No such command 'nothing'." in done.stderr


def test_commands_of_any_folder_need_no_parameters(folder: Path) -> None:
    done = predict()
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[0] == "predict: protocol of the model: own size, whole image, scale 1, with flip"
    assert (folder / "out/labels/photo.png").exists()
    assert dars("export", "--model", "student.safetensors", "--out", "s.onnx", "--height", "20", "--width", "30").exit_code == 0
    write_folder(folder / "mine")
    done = dars("inspect", "--root", "mine")
    assert done.exit_code == 0, done.output
    assert "wrong: nothing" in done.stdout
    assert dars("inspect", "--root", "missing").stderr.startswith("Error: missing - expected a folder or a zip archive")


def test_the_parameters_of_another_project_are_not_read_and_those_of_this_one_are(folder: Path) -> None:
    (folder / "params.yaml").write_text(FOREIGN)
    assert find_params(folder) is None
    assert predict().exit_code == 0
    ours = (ROOT / "params.yaml").read_text()
    (folder / "params.yaml").write_text(ours)
    change_params(folder, {"inference.long_side": 20})
    done = predict("--protocol", "params")
    assert done.exit_code == 0, done.output
    assert "protocol of `inference` of params.yaml: long side 20" in done.stderr
    for text in ("", ours.replace("seed: 0", "seed: x"), ours.replace("seed:", "sed:"), "a: [\n"):
        (folder / "params.yaml").write_text(text)
        done = predict()
        assert done.exit_code == 1
        assert done.stderr.startswith("Error: params.yaml - ")
        assert len(done.stderr.splitlines()) == 1


def test_a_protocol_of_parameters_that_are_not_there_is_one_line(folder: Path) -> None:
    done = predict("--protocol", "params")
    assert done.exit_code == 1
    assert done.stderr == (
        "Error: --protocol params - expected params.yaml of a workspace in this folder - found none - leave it out\n"
    )
    assert not (folder / "out").exists()


@pytest.mark.parametrize("name", IN_A_WORKSPACE)
def test_a_command_that_needs_a_workspace_says_so(name: str, folder: Path) -> None:
    where = f"Error: {name} - expected a workspace, a clone of the project, as the current folder - found"
    assert dars(name).stderr == f"{where} no dvc.yaml - change to one\n"
    (folder / "dvc.yaml").write_text("stages: {}\n")
    before = sorted(folder.rglob("*"))
    done = dars(name, "--no-such-option")
    assert done.exit_code == 1
    assert done.stderr == f"{where} the dvc.yaml of another project - change to one\n"
    assert sorted(folder.rglob("*")) == before


def test_a_command_runs_in_a_workspace(folder: Path) -> None:
    (folder / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    (folder / ".scratch/infer/x").mkdir(parents=True)
    done = dars("clean")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("clean: ")


def test_a_stage_is_told_from_what_does_not_exist() -> None:
    assert dars("pretrain").stderr == (
        "Error: pretrain - expected a command, see dars --help - found a stage, which DVC runs in a workspace"
        " - run dvc repro pretrain there, or python -m stages.pretrain\n"
    )
    for name in ("command", "../setup", "nothing"):
        assert dars(name).exit_code == 2
