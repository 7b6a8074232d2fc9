"""The benchmark of a GPU, on a CPU: its functions at small size, and what it says where there is no GPU."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.benchmarks.gpu import Case, gpu, run_alone, training_speed
from tests.benchmarks.gpu_round import ROUND, Data, time_round
from tests.benchmarks.measure import Cost, in_own_process
from tests.benchmarks.photo import compiling
from tests.benchmarks.speed import Speed, name_operations, time_work
from tests.workspace import ROOT

MODEL = {"network": "pspnet", "backbone": "tiny", "output_stride": 4, "head_width": 8, "auxiliary": True}
SMALL = {
    "model": MODEL,
    "augmentation": {"long_side": None, "crop_height": 16, "crop_width": 32},
    "student": {"labeled_batch_size": 2, "unlabeled_batch_size": 2},
    "inference": {"long_side": None},
    "runtime": {"threads": 1, "workers": 1},
}
CASE = Case("folder-small", (32, 64), SMALL, images=2, repeat=1)
MISSING = ("dvc", "psutil", "zarr", "timm", "matplotlib", "rasterio", "onnx", "onnxruntime", "pycocotools")


def at_once(work: Any, *arguments: Any) -> Any:
    """Stand in for a process of its own."""
    return work(*arguments)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_row_of_networks_and_stores_is_measured_on_a_cpu(tmp_path: Path) -> None:
    lines = list(gpu(tmp_path, ("networks", "store"), compiled=False, device="cpu", cases=[CASE], run=at_once))
    rows = [cells(line) for line in lines if line.startswith("| pspnet on tiny")]
    assert [row[1:4] for row in rows] == [
        ["training", "2 + 2 crops of 16x32", "float32"],
        ["training", "2 + 2 crops of 16x32", "bfloat16"],
        ["inference", "32x64", "float32"],
        ["inference", "32x64", "bfloat16"],
        ["2 x 32x64", "float32", *rows[4][3:4]],
        ["2 x 32x64", "bfloat16", *rows[5][3:4]],
    ]
    assert all(float(row[4]) > 0 for row in rows)
    assert all(float(row[5]) > 0 for row in rows[4:])
    assert any("without a deterministic version" in line for line in lines)


def test_a_row_that_fails_says_why_and_the_next_follows(tmp_path: Path) -> None:
    def fail(work: Any, *arguments: Any) -> Speed:
        raise RuntimeError("OutOfMemoryError: CUDA out of memory." if work is training_speed else "TypeError: a | b")

    rows = [cells(line) for line in gpu(tmp_path, ("networks",), device="cpu", cases=[CASE], run=fail)]
    assert [row[4] for row in rows if row[0] == "pspnet on tiny"] == ["out of memory"] * 2 + ["TypeError: a / b"] * 2


def test_two_processes_train_and_the_first_says_how_fast(tmp_path: Path) -> None:
    def only_two(work: Any, *arguments: Any) -> Speed:
        return Speed(1.0, 0, 0.0, ()) if work is training_speed else run_alone(work, *arguments)

    [line] = gpu(tmp_path, ("processes",), device="cpu", cases=[CASE], run=only_two)
    assert " times as many; one at 1.0." in line


def test_a_round_is_timed_command_by_command_and_ends_where_one_fails(tmp_path: Path) -> None:
    assert [command.split()[3] for command in ROUND[:3]] == ["stages.prepare", "stages.pretrain", "stages.evaluate"]
    streets = {"seed": 0, "train_images": 10, "val_images": 3, "height": 32, "width": 64}
    data = {"name": "streets", "root": "data/raw/streets", "labeled_fraction": 0.3, "streets": streets}
    *_, first, second = time_round(tmp_path, Data("13 streets", {"data": data}), "cpu", [ROUND[0], ROUND[2]])
    assert first.startswith("| prepare | ")
    assert second.startswith("| evaluate | failed: Error: --model - expected a file or folder to read ")


def test_operations_are_named_as_torch_names_them() -> None:
    def prepare() -> Any:
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        values = torch.zeros(4)
        return lambda: values.put_(torch.tensor([0]), torch.ones(1))

    try:
        assert time_work(prepare, images=1, repeat=1).warned == ("put_",)
    finally:
        torch.use_deterministic_algorithms(mode=False)
    said = ["Flash Attention defaults to a non-deterministic algorithm. To ...", "Not deterministic: x. y", "other"]
    assert name_operations(said) == ("Flash Attention", "Not deterministic: x")


def test_work_that_takes_too_long_is_ended() -> None:
    with pytest.raises(RuntimeError, match="not done after 0 s"):
        in_own_process(sleep, limit=0.1)


def sleep() -> None:
    time.sleep(60)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_so_in_a_line_and_needs_no_package_but_those_of_what_it_measures() -> None:
    code = f"import sys; sys.modules.update(dict.fromkeys({MISSING})); sys.argv = ['', 'gpu']; "
    code += "import runpy; runpy.run_module('tests.benchmarks', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("GPU: none was found and nothing measured; with one, ")


@pytest.mark.parametrize("in_time", [True, False])
def test_compiling_is_a_row_of_its_own_and_where_it_takes_too_long_a_row_says_so(
    monkeypatch: pytest.MonkeyPatch, in_time: bool
) -> None:
    def measured(*arguments: Any, limit: float | None = None, **options: Any) -> Cost:
        if limit and not in_time:
            raise RuntimeError(f"not done after {limit:.0f} s")
        return Cost(2.0, 0, preparation=61.0 if limit else 1.0)

    monkeypatch.setattr("tests.benchmarks.photo.measure", measured)
    rows = [(row.reference, row.ratio, row.cost.seconds) for row in compiling("lite0", limit=900.0)]
    if in_time:
        assert rows == [("compiled, once it is", 1.0, 2.0), ("", None, 60.0)]
    else:
        assert rows == [("compiled: not done after 900 s", None, 2.0)]
