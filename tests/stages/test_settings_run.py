"""A setting, run to its end by its one command: experiments under their own names, a workspace that stays as it is."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workspace import change_params, commit, dvc, git, make_workspace, prefork_environment

SETTING = """
title: two ratios and a teacher alone
reference: none
figure: none
params:
  method: cbst
  rounds:
    "1": {prev: 0, alpha: null, beta_min: 0.0, beta_max: 0.0, strength: 1.0, model: null}
runs:
  low: {alpha: 0.2}
  high: {alpha: 0.6}
  alone: {rounds: {}}
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    identity = {f"GIT_{role}_{kind}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for kind in ("NAME", "EMAIL")}
    command = ["python", "-m", "stages.experiment", *words]
    return subprocess.run(command, cwd=folder, env=prefork_environment() | identity, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = make_workspace(tmp_path_factory.mktemp("setting") / "clone")
    (folder / "data/settings/ratios.yaml").write_text(SETTING)
    commit(folder)
    done = run(folder, "ratios")
    assert done.returncode == 0, done.stderr
    yield folder, done.stdout
    shutil.rmtree(folder, ignore_errors=True)


def test_every_run_is_an_experiment_of_its_own(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    names = set(dvc(folder, "exp", "list", "--name-only").stdout.split())
    assert names == {"ratios-low", "ratios-high", "ratios-alone"}
    diff = json.loads(dvc(folder, "metrics", "diff", "ratios-low", "ratios-high", "--json").stdout)
    coverage = diff["data/summary.json"]["rounds.1.coverage"]
    assert coverage["old"] == pytest.approx(0.2, abs=0.1)
    assert coverage["new"] == pytest.approx(0.6, abs=0.1)


def test_the_teacher_is_trained_once_for_all_runs(finished: tuple[Path, str]) -> None:
    _, output = finished
    assert output.count("Running stage 'pretrain'") == 1
    assert output.count("Running stage 'infer@1'") == 1
    assert output.count("Running stage 'train_student@1'") == 2


def test_the_workspace_is_left_alone(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    # But for the table, which belongs to nobody until somebody commits it.
    found = git(folder, "status", "--porcelain").splitlines()
    assert found == [f"?? data/tables/ratios.{suffix}" for suffix in ("csv", "json", "md")]
    assert not (folder / "data/rounds").exists()


def test_a_finished_setting_runs_nothing(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    again = run(folder, "ratios")
    assert again.returncode == 0
    assert "Running stage" not in again.stdout
    assert again.stderr.count("is there already") == 3


def test_an_experiment_of_other_parameters_is_never_taken_for_the_wanted_one(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    change_params(folder, {"training.learning_rate": 0.01, "runtime.workers": 1})
    changed = run(folder, "ratios", "low")
    git(folder, "checkout", "--quiet", "params.yaml")
    assert changed.returncode == 1
    assert "ratios-low - expected an experiment with these parameters - found training.learning_rate: 0.05 instead of 0.01" in (
        changed.stderr
    )


def test_what_a_user_sets_becomes_part_of_the_name_and_a_row_of_the_table(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    done = run(folder, "ratios", "low", "-S", "equal_pixels=true")
    assert done.returncode == 0, done.stderr
    assert "ratios-low+equal_pixels=true" in dvc(folder, "exp", "list", "--name-only").stdout.split()
    table = json.loads((folder / "data/tables/ratios.json").read_text())
    assert "low+equal_pixels=true" in {row["run"] for row in table["rows"]}
    dvc(folder, "exp", "remove", "ratios-low+equal_pixels=true")
    shutil.rmtree(folder / "data/tables")
    assert run(folder, "ratios").returncode == 0


def test_the_table_has_a_row_for_every_round_of_every_run(finished: tuple[Path, str]) -> None:
    folder, output = finished
    table = json.loads((folder / "data/tables/ratios.json").read_text())
    rows = {(row["run"], row["round_key"]): row for row in table["rows"]}
    assert list(rows) == [("low", "0"), ("low", "1"), ("high", "0"), ("high", "1"), ("alone", "0")]
    assert rows["low", "0"]["spreads"]["kl"] is None
    assert rows["high", "1"]["spreads"]["coverage"]["mean"] == pytest.approx(0.6, abs=0.1)
    assert (folder / "data/tables/ratios.md").read_text() in output


def test_a_run_without_rounds_has_a_teacher_and_a_report(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    dvc(folder, "exp", "apply", "ratios-alone")
    assert (folder / "data/rounds/0/metrics.json").exists()
    assert not (folder / "data/rounds/1").exists()
    assert "<html" in (folder / "data/report/index.html").read_text()
    git(folder, "reset", "--hard", "--quiet")


def test_a_failing_run_ends_with_an_error_and_keeps_what_is_finished(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    failed = run(folder, "ratios", "low", "--seed", "1", "-S", "alpha=7.0")
    assert failed.returncode == 1
    assert "ratios-low+alpha=7.0-seed1 - expected dvc to succeed" in failed.stderr
    assert "params.yaml - alpha" in failed.stderr
    assert len(dvc(folder, "exp", "list", "--name-only").stdout.split()) == 3
