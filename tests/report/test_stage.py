import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.files import digest
from pipeline.suggestions.table import Suggestion, write_suggestions
from stages.report import main
from tests.report.cases import Case, params, write_case
from tests.workspace import ROOT

ARGUMENTS = [
    "--prepared",
    "prepared",
    "--rounds",
    "rounds",
    "--tables",
    "tables",
    "--suggestions",
    "suggestions",
    "--out",
    "report",
]


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_case(tmp_path, Case(keys=list(params().rounds)))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "tables").mkdir()
    (tmp_path / "suggestions").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one_line() -> str:
    """Run the stage, which is to fail, and return the line that it says."""
    done = CliRunner().invoke(main, ARGUMENTS)
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    return done.output


def test_the_stage_writes_one_file(experiment: Path) -> None:
    done = CliRunner().invoke(main, ARGUMENTS)
    assert done.exit_code == 0, done.output
    assert [path.name for path in (experiment / "report").iterdir()] == ["index.html"]
    assert "toy</h1>" in (experiment / "report/index.html").read_text(encoding="utf-8")


def test_a_missing_round_is_one_line_and_leaves_the_old_report(experiment: Path) -> None:
    CliRunner().invoke(main, ARGUMENTS)
    (experiment / "rounds" / max(params().rounds) / "metrics.json").unlink()
    said = one_line()
    assert "metrics.json" in said
    assert (experiment / "report/index.html").is_file()


def test_a_damaged_table_is_one_line(experiment: Path) -> None:
    (experiment / "tables/table4.json").write_text("{")
    said = one_line()
    assert "tables/table4.json - " in said
    assert "stages.table" in said


def test_suggestions_are_on_the_page_where_they_are_of_this_experiment(experiment: Path) -> None:
    def page() -> str:
        assert CliRunner().invoke(main, ARGUMENTS).exit_code == 0
        return (experiment / "report/index.html").read_text(encoding="utf-8")

    plain = page()
    rows = [Suggestion("unlabeled_1", Path("x.png"), 1.0, "likely holds 9 pixels of <pole>")]
    write_suggestions(experiment / "suggestions/1.tsv", rows, selection=digest(experiment / "rounds/1/selection.json"))
    assert "1. unlabeled_1" in page()
    assert "likely holds 9 pixels of &lt;pole&gt;" in page()
    write_suggestions(experiment / "suggestions/1.tsv", rows, selection="ab" * 32)
    assert page() == plain


def test_damaged_suggestions_are_one_line(experiment: Path) -> None:
    (experiment / "suggestions/1.tsv").write_text("image_id")
    said = one_line()
    assert "suggestions/1.tsv - expected suggestions - found" in said
