"""`dvc repro` and experiments, end to end, on an experiment small enough for a test."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.files import digest
from tests.workspace import change_params, command_of, commit, dvc, git, make_workspace, run_stage, stages_run

ROUND_STAGES = ("infer", "calibrate", "solve_thresholds", "sample_labels", "statistics", "train_student", "evaluate")
LAST = {"summarize", "report"}
TESTS = {"infer", "calibrate", "evaluate", "evaluate_pretrained"}
"""Stages that read all rounds: they run again whatever changes in one."""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = make_workspace(tmp_path_factory.mktemp("experiment") / "clone")
    dvc(folder, "repro")
    commit(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def read(folder: Path, key: int, name: str) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((folder / f"data/rounds/{key}/{name}.json").read_text())
    return tree


def selection(folder: Path, key: int) -> dict[str, Any]:
    return read(folder, key, "selection")


def append_comment(path: Path) -> None:
    with path.open("a") as file:
        file.write("# Nothing that runs has changed.\n")


def reset(folder: Path) -> None:
    git(folder, "reset", "--hard", "--quiet")
    dvc(folder, "checkout", "--quiet")


def test_every_artifact_lies_where_the_house_says(experiment: Path) -> None:
    names = {
        "prepared/catalog.json", "prepared/labeled.txt", "prepared/unlabeled.txt", "prepared/val.txt",
        "prepared/class_priors.json",
        "rounds/0/model.safetensors", "rounds/0/metrics.json", "rounds/0/curve.tsv", "report/index.html", "summary.json",
        "plots/losses.tsv", "plots/class_iou.tsv", "plots/confusion.tsv",
    }  # fmt: skip
    for key in (1, 2):
        names |= {f"rounds/{key}/{name}" for name in ("softmax.zarr", "confidences.zarr", "calibrator.json", "statistics.json")}
        names |= {f"rounds/{key}/{name}" for name in ("selection.json", "pseudo_labels")}
        names |= {f"rounds/{key}/{name}" for name in ("model.safetensors", "metrics.json", "curve.tsv")}
    assert [name for name in sorted(names) if not (experiment / "data" / name).exists()] == []
    assert not (experiment / ".scratch").exists() or not any((experiment / ".scratch").rglob("*.*"))


def test_a_second_repro_runs_nothing(experiment: Path) -> None:
    assert stages_run(dvc(experiment, "repro")) == []


def test_git_tracks_the_summary_and_no_other_artifact(experiment: Path) -> None:
    tracked = [
        name
        for name in git(experiment, "ls-files", "data").split()
        if not name.startswith(("data/raw", "data/lists", "data/settings", "data/suggestions", "data/tables"))
    ]
    assert tracked == ["data/.gitignore", "data/summary.json"]


def test_metrics_say_how_they_were_measured(experiment: Path) -> None:
    for key in (0, 1, 2):
        tree = read(experiment, key, "metrics")
        measures = {"mean_iou", "tail_mean_iou", "pixel_accuracy", "iou", "protocol", "tail_classes", "confusion"}
        assert measures | {"sha256"} == set(tree)
        assert "3 val images of streets" in tree["protocol"]
    quality = read(experiment, 2, "statistics")
    assert {"coverage", "kl", "kl_true", "accuracy", "classes"} <= set(quality)
    assert {"precision", "recall"} <= set(quality["classes"][0])
    chosen = selection(experiment, 2)
    assert quality["coverage"] == sum(chosen["realized_counts"]) / chosen["num_pixels"]


def test_the_summary_says_what_the_rounds_say(experiment: Path) -> None:
    summary = json.loads((experiment / "data/summary.json").read_text())
    assert list(summary["rounds"]) == ["0", "1", "2"]
    assert summary["final"]["mean_iou"] == summary["rounds"]["2"]["mean_iou"] == read(experiment, 2, "metrics")["mean_iou"]
    assert summary["rounds"]["1"]["coverage"] == read(experiment, 1, "statistics")["coverage"]


def test_alpha_runs_again_from_the_thresholds_of_round_one(experiment: Path) -> None:
    done = dvc(experiment, "exp", "run", "-S", "alpha=0.45")
    expected = {f"{stage}@{key}" for stage in ROUND_STAGES for key in (1, 2)} - {"infer@1", "calibrate@1"}
    assert set(stages_run(done)) == expected | LAST
    assert selection(experiment, 1)["labeling_ratio"] == 0.45
    diff = json.loads(dvc(experiment, "metrics", "diff", "--json").stdout)
    assert list(diff) == ["data/summary.json"]
    coverage = diff["data/summary.json"]["rounds.1.coverage"]
    assert coverage["new"] > coverage["old"]
    reset(experiment)


def test_methods_are_compared_by_the_names_of_their_experiments(experiment: Path) -> None:
    curve = experiment / "data/rounds/1/curve.tsv"
    steps = [line.split("\t")[0] for line in curve.read_text().splitlines()[:-1]]
    for method in ("st", "none"):
        done = dvc(experiment, "exp", "run", "-n", method, "-S", f"method={method}", "-S", "~rounds.2")
        assert not {"prepare", "pretrain", "infer@1"} & set(stages_run(done))
        assert selection(experiment, 1)["method"] == method
        assert [line.split("\t")[0] for line in curve.read_text().splitlines()[:-1]] == steps, "every method trains equally long"
        if method == "none":
            assert sum(selection(experiment, 1)["realized_counts"]) == 0
            assert read(experiment, 1, "statistics")["kl"]["pseudo_labeled"]["value"] is None
        reset(experiment)
    diff = dvc(experiment, "metrics", "diff", "st", "none", "--all").stdout
    assert "rounds.1.coverage" in diff
    assert len(diff.splitlines()) <= 40
    plots = json.loads(dvc(experiment, "plots", "diff", "st", "none", "--json").stdout)["data"]
    assert {"losses", "class_iou", "confusion", "data/rounds/1/examples/val_00000.png"} <= set(plots)
    assert all(set(plot["revisions"]) == {"st", "none"} for name in ("losses", "class_iou", "confusion") for plot in plots[name])
    # A method that was run before costs nothing: its results come out of the run cache.
    again = dvc(experiment, "exp", "run", "-n", "st-again", "-S", "method=st", "-S", "~rounds.2")
    assert [stage for stage in stages_run(again) if stage.startswith("train_student")] == []
    reset(experiment)


def test_the_ratio_of_one_round_leaves_the_earlier_ones_alone(experiment: Path) -> None:
    done = dvc(experiment, "exp", "run", "-S", "rounds.2.alpha=0.7")
    assert set(stages_run(done)) == {f"{stage}@2" for stage in ROUND_STAGES[2:]} | LAST
    reset(experiment)


def test_a_stronger_augmentation_of_one_round_trains_that_round_only(experiment: Path) -> None:
    done = dvc(experiment, "exp", "run", "-S", "rounds.2.beta_max=0.7")
    assert set(stages_run(done)) == {"train_student@2", "evaluate@2"} | LAST
    reset(experiment)


def test_a_round_can_be_added_and_dropped(experiment: Path) -> None:
    done = dvc(
        experiment,
        "exp",
        "run",
        "-S",
        "+rounds.3={prev: 2, alpha: null, beta_min: 0.0, beta_max: 0.0, strength: 1.0, model: null}",
    )
    assert {f"{stage}@3" for stage in ROUND_STAGES} <= set(stages_run(done))
    assert (experiment / "data/rounds/3/metrics.json").exists()
    reset(experiment)
    git(experiment, "clean", "-dfqx", "data/rounds/3")
    done = dvc(experiment, "exp", "run", "-S", "~rounds.2")
    assert set(stages_run(done)) <= LAST
    reset(experiment)


def test_one_round_can_be_made_alone(experiment: Path) -> None:
    change_params(experiment, {"rounds.2.beta_min": 0.3})
    assert stages_run(dvc(experiment, "repro", "train_student@2")) == ["train_student@2"]
    reset(experiment)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"seed": 5}, {"prepare", "pretrain", "calibrate", "solve_thresholds", "sample_labels", "train_student", "report"}),
        ({"strong_views.mix_probability": 0.5}, {"train_student", "report"}),
        ({"student.ema_decay": 0.9}, {"train_student", "report"}),
        ({"prior_shrinkage": 0.5}, {"solve_thresholds", "report"}),
        ({"evaluation.curve_images": 2}, {"evaluate", "evaluate_pretrained", "report"}),
        ({"model.dropout": 0.3}, {"pretrain", "train_student", "report"}),
        ({"training.momentum": 0.8}, {"pretrain", "train_student", "report"}),
        ({"pretrain.steps": 8}, {"pretrain", "report"}),
        ({"student.steps": 6}, {"train_student", "report"}),
        ({"augmentation.rotation": 5.0}, {"pretrain", "train_student", "report"}),
        ({"augmentation.crop_width": 24}, {"pretrain", "statistics", "train_student", "report"}),
        ({"augmentation.scale_max": 2.0}, {"pretrain", "statistics", "train_student", "report"}),
        (
            {"inference.flip": True},
            {"pretrain", "train_student", "infer", "calibrate", "evaluate", "evaluate_pretrained", "report"},
        ),
        ({"inference.batch_size": 3}, {"infer", "calibrate", "evaluate", "evaluate_pretrained", "report"}),
        ({"softmax_store.floor": 0.001}, {"infer", "calibrate", "report"}),
        ({"softmax_store.dtype": "float32"}, {"infer", "calibrate", "report"}),
        ({"softmax_store.average": "logits"}, {"infer", "calibrate", "report"}),
        ({"softmax_store.keep": "largest"}, {"infer", "calibrate", "report"}),
        ({"calibration": "temperature", "calibration_fit.images": "val"}, {"calibrate", "report"}),
        ({"training.focal_gamma": 2.0}, {"pretrain", "train_student", "report"}),
        ({"evaluation.tail_share": 0.05}, {"evaluate", "evaluate_pretrained", "report"}),
        ({"method": "cbst"}, {"solve_thresholds", "report"}),
        ({"equal_pixels": True}, {"solve_thresholds", "report"}),
        ({"unpredicted_classes": "refuse"}, {"solve_thresholds", "report"}),
        ({"dars.thin": "ties"}, {"solve_thresholds", "report"}),
        ({"st_confidence": 0.9}, {"solve_thresholds", "report"}),
        ({"data.labeled_fraction": 0.5}, {"prepare", "report"}),
        ({"data.priors": "val"}, {"prepare", "report"}),
        ({"data.holdout_fraction": 0.5}, {"prepare", "report"}),
        ({"runtime.threads": 2}, set()),
        ({"runtime.workers": 1}, set()),
    ],
)
def test_a_changed_parameter_makes_exactly_its_own_stages_stale(
    experiment: Path, change: dict[str, Any], changed: set[str]
) -> None:
    change_params(experiment, change)
    status = json.loads(dvc(experiment, "status", "--json").stdout)
    git(experiment, "checkout", "--quiet", "params.yaml")
    # The report prints the parameters; its other reasons to run are not what this is about.
    assert {name.partition("@")[0] for name in status} - {"report"} == changed - {"report"}


@pytest.mark.parametrize(
    ("edited", "stale"),
    [
        ("pipeline/datasets/camvid.py", {"prepare"}),
        ("pipeline/transforms/geometry.py", {"pretrain", "train_student"}),
        ("pipeline/machine/parallel.py", set()),
    ],
)
def test_an_edited_room_makes_exactly_its_own_stages_stale(experiment: Path, edited: str, stale: set[str]) -> None:
    append_comment(experiment / edited)
    status = json.loads(dvc(experiment, "status", "--json").stdout)
    git(experiment, "checkout", "--quiet", "pipeline")
    assert {name.partition("@")[0] for name in status} == stale


def test_an_edit_of_the_sampling_that_leaves_all_labels_equal_trains_no_student_again(experiment: Path) -> None:
    append_comment(experiment / "pipeline/labeling/sampling.py")
    done = dvc(experiment, "repro")
    assert set(stages_run(done)) == {f"{stage}@{key}" for stage in ("solve_thresholds", "sample_labels") for key in (1, 2)}
    reset(experiment)


@pytest.mark.parametrize(
    ("workers", "shard_mib", "keep"),
    [(1, 0.1, "all"), (4, 0.1, "all"), (2, 1000.0, "all"), (2, 1e-6, "all"), (2, 0.1, "largest")],
)
def test_pseudo_labels_are_the_same_bytes_for_any_workers_shards_and_kept_maps(
    experiment: Path, workers: int, shard_mib: float, keep: str
) -> None:
    store = {"softmax_store.shard_mib": shard_mib, "softmax_store.keep": keep}
    change_params(experiment, {"runtime.workers": workers, **store})
    softmax, selected, labels = "out/softmax.zarr", "data/rounds/1/selection.json", "out/pseudo_labels"
    infer = ("--teacher", "data/rounds/0/model.safetensors", "--unlabeled", "data/prepared/unlabeled.tsv", "--softmax", softmax)
    command = [word.replace("data/rounds/1/softmax.zarr", softmax) for word in command_of("calibrate")]
    sample = (
        "--confidences",
        "out/confidences.zarr",
        "--selection",
        selected,
        "--catalog",
        "data/prepared/catalog.json",
        "--pseudo-labels",
        labels,
    )
    for stage, arguments in (("infer", infer), (command[0], command[1:]), ("sample_labels", ("--round", "1", *sample))):
        done = run_stage(experiment, stage, *arguments, alone=True)
        assert done.returncode == 0, done.stderr
    assert digest(experiment / labels) == digest(experiment / "data/rounds/1/pseudo_labels")
    shutil.rmtree(experiment / "out")
    git(experiment, "checkout", "--quiet", "params.yaml")


def test_pseudo_labels_follow_the_selection_pixel_for_pixel(experiment: Path) -> None:

    chosen = selection(experiment, 1)
    counts = np.zeros(256, np.int64)
    for png in (experiment / "data/rounds/1/pseudo_labels").iterdir():
        counts += np.bincount(np.asarray(Image.open(png)).ravel(), minlength=256)
    assert counts[: len(chosen["class_names"])].tolist() == chosen["realized_counts"]
