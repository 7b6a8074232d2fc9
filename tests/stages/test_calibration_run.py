"""Calibrated and float32 experiments, from the hold-out to the metrics of a student."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.calibration.calibrator import FIT, CalibratorFile
from pipeline.files import digest
from stages.calibrate import main as calibrate
from tests.stages.data_sets import check_pseudo_labels, pixels, read_list
from tests.workspace import TINY, change_params, command_of, dvc, make_workspace, run_stage

CALIBRATE, SOLVE, SAMPLE = (command_of(stage) for stage in ("calibrate", "solve_thresholds", "sample_labels"))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A calibrated round in float32, the teacher and all before it made once."""
    changes = {
        "data.labeled_fraction": 0.5,
        "data.holdout_fraction": 0.4,
        "calibration": "temperature",
        "softmax_store.dtype": "float32",
    }
    folder = make_workspace(tmp_path_factory.mktemp("calibration") / "clone", {**TINY, **changes, "pretrain.steps": 30})
    dvc(folder, "repro", "evaluate@1")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_calibrated_float32_round_labels_exactly_its_targets(experiment: Path) -> None:
    check_pseudo_labels(experiment, "1")
    assert len(read_list(experiment, "holdout")) == 2
    assert not set(read_list(experiment, "holdout")) & set(read_list(experiment, "labeled"))
    selection = json.loads((experiment / "data/rounds/1/selection.json").read_text())
    for wanted, missing, realized in zip(
        selection["targets"], selection["shortfalls"], selection["realized_counts"], strict=True
    ):
        assert realized == wanted - missing


def test_the_calibrator_says_what_it_was_fitted_on_and_the_errors_before_and_after(experiment: Path) -> None:
    content = CalibratorFile.read(experiment / "data/rounds/1/calibrator.json")
    assert (content.calibrator.method, content.fitted_on) == ("temperature", "holdout")
    for errors in (content.errors_before, content.errors_after):
        assert errors
        assert 0 <= errors.ece <= 1
        assert errors.nll > 0
    labels = [pixels(experiment / f"data/prepared/labels/{name}.png") for name in read_list(experiment, "holdout")]
    assert content.fitted_pixels == sum(int((known < 255).sum()) for known in labels)
    assert content.after
    assert sum(share or 0 for share in content.after["share"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("method", "fitted_on"), [*((method, "holdout") for method in (*FIT, "none")), ("temperature", "val"), ("matrix", "val")]
)
def test_every_calibrator_runs_and_is_the_same_bytes_for_any_number_of_workers(
    experiment: Path, method: str, fitted_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(experiment)
    digests = []
    for workers in (1, 3):
        change_params(experiment, {"calibration": method, "calibration_fit.images": fitted_on, "runtime.workers": workers})
        done = CliRunner().invoke(calibrate, list(CALIBRATE[1:]))
        assert done.exit_code == 0, done.output
        digests.append({path.name: digest(path) for path in (experiment / "out").iterdir()})
        shutil.rmtree(experiment / "out")
        if method == "none":
            break
    assert set(digests[0]) == {"calibrator.json", "confidences.zarr"}
    assert digests[0] == digests[-1]


def test_solving_and_sampling_again_give_the_same_bytes_for_any_number_of_workers(experiment: Path) -> None:
    change_params(experiment, {"calibration": "temperature", "calibration_fit.images": "holdout", "runtime.workers": 3})
    for command, name in ((SOLVE, "selection.json"), (SAMPLE, "pseudo_labels")):
        done = run_stage(experiment, *command, alone=True)
        assert done.returncode == 0, done.stderr
        assert digest(experiment / "out" / name) == digest(experiment / "data/rounds/1" / name)
    shutil.rmtree(experiment / "out")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"softmax_store.floor": 0.001, "calibration": "histogram_binning"}, "floor - expected 0.001"),
        ({"softmax_store.average": "logits", "calibration": "temperature"}, "average - expected logits"),
    ],
)
def test_a_store_that_was_made_otherwise_than_calibrators_are_fitted_is_refused(
    experiment: Path, change: dict[str, object], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(experiment)
    kept = (experiment / "params.yaml").read_text()
    change_params(experiment, change)
    done = CliRunner().invoke(calibrate, list(CALIBRATE[1:]))
    (experiment / "params.yaml").write_text(kept)
    assert done.exit_code == 1
    assert says in done.output
    assert "run the stage `infer`" in done.output
    assert not (experiment / "out").exists() or not any((experiment / "out").iterdir())
