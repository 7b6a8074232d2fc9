"""What `pip install .` gives: one package, in any folder, beside packages of any other name."""

import email
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from tests.dependencies import ROOT
from tests.export.cases import CLASS_NAMES, noise_images, write_checkpoint
from tests.strategies import make_probs
from tests.workspace import environment

SOURCES = (
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "params.yaml",
    "pyproject.toml",
    "setup.py",
    "dars",
    "pipeline",
    "stages",
    "tests",
)
DATA = {"dars/params.yaml", "dars/py.typed", "dars/pipeline/report/page.css", "dars/pipeline/report/page.html.j2"}

[SETUPTOOLS] = [Requirement(text) for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]]


def missing() -> str:
    """Say what this environment lacks to build a wheel without a network; "" where it can."""
    found = {package.metadata["Name"].lower(): package.version for package in importlib.metadata.distributions()}
    if "pip" not in found:
        return "a wheel is built by pip, which this environment does not have"
    if "setuptools" not in found or not SETUPTOOLS.specifier.contains(found["setuptools"]):
        return f"a wheel is built by {SETUPTOOLS} - found {found.get('setuptools', 'none')}, which requirements.txt does not pin"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def run(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(map(str, words)), cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of a copy in which an earlier build has left a module that is gone."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source, target = ROOT / name, folder / "clone" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(source, target)
    for name in ("dars/pipeline/gone.py", "pipeline/gone.py"):
        stale = folder / "clone/build/lib" / name
        stale.parent.mkdir(parents=True)
        stale.write_text("")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index", "--no-deps")
    run(*pip, "--no-build-isolation", "--wheel-dir", folder, ".", folder=folder / "clone")
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own, which sees the packages of this one; return its programs."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    python = folder / "venv/bin/python"
    place = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).stdout.strip())
    (place / "shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps")
    run(*pip, "--force-reinstall", wheel, folder=folder)
    return python.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of somebody's own project, which has packages of our names, with a model, a photo and softmax maps."""
    for name in ("pipeline", "stages"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('a package of another project')\n")
    write_checkpoint(tmp_path / "student.safetensors")
    Image.fromarray(noise_images(1, 40, 60)[0]).save(tmp_path / "photo.jpg")
    rng = np.random.default_rng(0)
    (tmp_path / "softmax").mkdir()
    for index in range(3):
        np.save(tmp_path / f"softmax/{index}.npy", make_probs(rng, (20, 30 + index), 3, (0, 1, 2)))
    return tmp_path


def test_a_wheel_holds_the_code_what_it_reads_and_nothing_else(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "dars", "pipeline", "stages"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    files = [name for name in tracked.stdout.split() if name.endswith(".py")]
    modules = {name if name.startswith("dars/") else f"dars/{name}" for name in files}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = {name for name in names if ".dist-info/" in name}
        assert names - about == modules | DATA
        assert archive.read("dars/params.yaml") == (ROOT / "params.yaml").read_bytes()
        for name in files:
            inside = archive.read(name if name.startswith("dars/") else f"dars/{name}").decode().splitlines()
            lines = (ROOT / name).read_text().splitlines()
            changed = [(ours, theirs) for ours, theirs in zip(lines, inside, strict=True) if ours != theirs]
            assert all(re.match(r" *(from|import) (pipeline|stages)\b", ours) for ours, _ in changed), name
        [metadata] = [email.message_from_bytes(archive.read(name)) for name in about if name.endswith("METADATA")]
        [top_level] = [archive.read(name) for name in about if name.endswith("top_level.txt")]
    assert metadata["Name"] == "dars"
    assert top_level == b"dars\n"


def test_every_module_can_be_imported_beside_packages_of_the_same_names(installed: Path, folder: Path) -> None:
    code = """
import importlib, pkgutil, sys
import dars
for module in pkgutil.walk_packages(dars.__path__, "dars."):
    importlib.import_module(module.name)
print(dars.__file__)
assert not [name for name in sys.modules if name.partition(".")[0] in {"pipeline", "stages"}]
"""
    done = run(installed / "python", "-c", code, folder=folder)
    assert done.stdout.startswith(str(installed.parent))


def test_the_program_predicts_in_any_folder(installed: Path, folder: Path) -> None:
    assert "predict  " in run(installed / "dars", "--help", folder=folder).stdout
    words = ("--model", "student.safetensors", "--images", "photo.jpg", "--out", "out")
    done = run(installed / "dars", "predict", *words, folder=folder)
    assert "predict: 1 predictions in out" in done.stderr
    with Image.open(folder / "out/labels/photo.png") as labels:
        assert labels.size == (60, 40)
    assert done.stderr.count("protocol of") == 1
    failed = subprocess.run(
        [installed / "dars", "suggest", "--round", "1"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert "expected a workspace" in failed.stderr


def test_the_lines_of_the_document_run_in_any_folder(installed: Path, folder: Path) -> None:
    network, maps = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/api.md").read_text(), re.MULTILINE | re.DOTALL)
    done = run(installed / "python", "-c", network, folder=folder)
    assert [line.partition(":")[0] for line in done.stdout.splitlines()[:-1]] == list(CLASS_NAMES)
    assert sum(float(share) for share in re.findall(r": ([\d.]+)%", done.stdout)) == pytest.approx(100, abs=0.3)
    absent = "import sys\nsys.modules.update(dict.fromkeys(['torch', 'torchvision', 'zarr', 'dvc']))\n"
    done = run(installed / "python", "-W", "error", "-c", absent + maps, folder=folder)
    drawn = [np.load(folder / f"softmax/{index}.labels.npy") for index in range(3)]
    assert [(labels.shape, labels.dtype) for labels in drawn] == [((20, 30 + index), np.uint8) for index in range(3)]
    share = sum(int((labels != 255).sum()) for labels in drawn) / sum(labels.size for labels in drawn)
    assert f", {share:.1%} of the pixels, short by (" in done.stdout
    for labels, index in zip(drawn, range(3), strict=True):
        prediction = np.load(folder / f"softmax/{index}.npy").argmax(axis=0)
        assert ((labels == 255) | (labels == prediction)).all()


def test_an_environment_says_what_it_is_made_of(installed: Path, folder: Path) -> None:
    code = (
        "from importlib.metadata import packages_distributions as by; print(by()['dars'], {'pipeline', 'stages'} & by().keys())"
    )
    assert run(installed / "python", "-c", code, folder=folder).stdout == "['dars'] set()\n"
    assert not os.path.lexists(ROOT / "build"), "the clone stays as it is"
