import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.report import main
from tests.report.cases import Case, params, write_case
from tests.workspace import ROOT

ARGUMENTS = ["--prepared", "prepared", "--rounds", "rounds", "--tables", "tables", "--out", "report"]


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_case(tmp_path, Case(keys=list(params().rounds)))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "tables").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_stage_writes_one_file(experiment: Path) -> None:
    done = CliRunner().invoke(main, ARGUMENTS)
    assert done.exit_code == 0, done.output
    assert [path.name for path in (experiment / "report").iterdir()] == ["index.html"]
    assert "toy</h1>" in (experiment / "report/index.html").read_text(encoding="utf-8")


def test_a_missing_round_is_one_line_and_leaves_the_old_report(experiment: Path) -> None:
    CliRunner().invoke(main, ARGUMENTS)
    (experiment / "rounds" / max(params().rounds) / "metrics.json").unlink()
    done = CliRunner().invoke(main, ARGUMENTS)
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert "metrics.json" in done.output
    assert (experiment / "report/index.html").is_file()


def test_a_damaged_table_is_one_line(experiment: Path) -> None:
    (experiment / "tables/table4.json").write_text("{")
    done = CliRunner().invoke(main, ARGUMENTS)
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert "tables/table4.json - " in done.output
    assert "stages.table" in done.output
