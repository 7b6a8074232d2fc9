"""The simulation on a tiny experiment, and its table on parts made up."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.suggestions import simulation
from tests.suggestions.__main__ import main
from tests.suggestions.simulation import Plan, to_markdown
from tests.workspace import TINY

PLAN = Plan(on="", run="", roots=(), extra=(), label=8, apart=5, last_round=0)


def write_part(folder: Path, seed: int, arm: str, mean: float, tail: float | None) -> None:
    part = {"rounds": {"0": {"mean_iou": mean, "tail_mean_iou": tail}}, "tail_classes": []}
    (folder / f"seed{seed}").mkdir(exist_ok=True)
    (folder / f"seed{seed}/{arm}.json").write_text(json.dumps(part))


def test_the_table_has_means_and_differences_paired_by_seed(tmp_path: Path) -> None:
    for seed in range(3):
        write_part(tmp_path, seed, "before", 0.3, None)
        write_part(tmp_path, seed, "random", 0.3 + 0.1 * seed, 0.2)
        write_part(tmp_path, seed, "shortfall", 0.32 + 0.1 * seed, 0.1 + 0.1 * seed)
    _, _, before, drawn, ranked = to_markdown(tmp_path, PLAN).splitlines()
    assert before == "| before | 0 | 3 | 30.0 ± 0.0 |  |  |  |  |  |"
    assert drawn == "| 8 by random | 0 | 3 | 40.0 ± 10.0 |  |  | 20.0 ± 0.0 |  |  |"
    assert ranked.startswith(
        "| 8 by shortfall | 0 | 3 | 42.0 ± 10.0 | +2.0 (+2.0 to +2.0)* |  | 20.0 ± 10.0 | +0.0 (-24.8 to +24.8)"
    )


def test_parts_of_another_plan_are_refused(tmp_path: Path) -> None:
    PLAN.check_folder(tmp_path)
    PLAN.check_folder(tmp_path)
    done = CliRunner().invoke(main, ["--folder", str(tmp_path), "--label", "3", "--last-round", "0"])
    assert done.exit_code == 1
    assert "plan.json - label - expected 3 - found 8 - name another folder" in done.output


def test_a_setting_with_runs_needs_one(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--folder", str(tmp_path), "--on", "photos-quick"])
    assert done.exit_code == 1
    assert "--run - expected one of none, dars - found none - name it" in done.output


def test_suggested_images_are_labeled_and_what_is_finished_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [word for key, value in TINY.items() for word in ("-S", f"{key}={value}")]
    command = ["--folder", str(tmp_path), "--seed", "1", "--arm", "shortfall", "--label", "2", "--last-round", "0", *sizes]
    labeled: list[str] = []
    finish = simulation._finish

    def note(workspace: Path, *rest: Any) -> None:
        labeled.append((workspace / "data/prepared/labeled.txt").read_text())
        finish(workspace, *rest)

    monkeypatch.setattr(simulation, "_finish", note)
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    before, after = (set(text.split()) for text in labeled)
    chosen = (line.split("\t")[0] for line in (tmp_path / "seed1/shortfall.tsv").read_text().splitlines()[1:3])
    assert after == before | set(chosen)
    assert len(after) == len(before) + 2
    assert not (tmp_path / "seed1/work").exists()
    monkeypatch.setattr(simulation, "dvc", None)
    assert CliRunner().invoke(main, command).stdout == done.stdout
