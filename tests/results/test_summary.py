"""The summary of an experiment and the tables to plot, from what its rounds left on disk."""

import csv
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.results.plots import write_plots
from pipeline.results.rounds import read_rounds
from pipeline.results.summary import Summary, summarize
from pipeline.samples.priors import ClassPriors
from stages.summarize import main
from tests.report.cases import NAMES, Case, write_case


def written(folder: Path, case: Case) -> tuple[Summary, dict[str, list[dict[str, str]]]]:
    prepared, rounds = write_case(folder, case)
    results = read_rounds(rounds, case.keys, case.class_names)
    write_plots(folder, results, ClassPriors.read(prepared / "class_priors.json").labeled(case.class_names))
    names = ("losses", "validation", "class_iou", "confusion")
    tables = {
        name: list(csv.DictReader((folder / f"{name}.tsv").read_text().splitlines(), dialect="excel-tab")) for name in names
    }
    return summarize(results), tables


def test_the_summary_says_what_the_files_of_the_rounds_say(tmp_path: Path) -> None:
    summary, _ = written(tmp_path, Case(keys=("10", "9")))
    first, _, last = read_rounds(tmp_path / "rounds", ("9", "10"), NAMES)
    assert list(summary.rounds) == ["0", "9", "10"]
    found, statistics = summary.rounds["10"], last.statistics
    assert statistics is not None
    assert (found.mean_iou, found.tail_mean_iou) == (last.metrics.mean_iou, last.metrics.tail_mean_iou)
    assert found.gain == (last.metrics.mean_iou or 0) - (first.metrics.mean_iou or 0)
    assert found.tail_gain == (last.metrics.tail_mean_iou or 0) - (first.metrics.tail_mean_iou or 0)
    assert (found.coverage, found.pseudo_label_accuracy) == (statistics.coverage, statistics.accuracy)
    assert (found.kl, found.smoothed_kl) == (statistics.kl.pseudo_labeled.value, statistics.kl.pseudo_labeled.smoothed)
    assert (found.kl_true, found.smoothed_kl_true) == (statistics.kl_true.value, statistics.kl_true.smoothed)
    assert found.kl_true is not None
    assert summary.final.round == 10
    assert summary.final.model_dump(exclude={"round"}) == found.model_dump(include=set(type(summary.final).model_fields))


def test_round_zero_has_scores_and_nothing_else(tmp_path: Path) -> None:
    summary, _ = written(tmp_path, Case(keys=()))
    assert summary.final.round == 0
    assert summary.final.gain is None
    assert summary.rounds["0"].model_dump(exclude={"mean_iou", "tail_mean_iou"}, exclude_none=True) == {}


def test_the_summary_reads_back_also_where_the_divergence_is_infinite(tmp_path: Path) -> None:
    summary, _ = written(tmp_path, Case(unpredicted=(1,)))
    summary.write(tmp_path / "summary.json")
    assert summary.rounds["1"].kl == math.inf
    assert Summary.read(tmp_path / "summary.json") == summary


def test_tables_have_a_row_for_every_value(tmp_path: Path) -> None:
    _, tables = written(tmp_path, Case(absent=(2,), snapshots=2))
    assert [(row["round"], row["set"], row["step"]) for row in tables["validation"]] == [
        (key, "all classes", step) for key in "012" for step in "12"
    ]
    sets = [(row["round"], row["set"], row["step"]) for row in tables["losses"]]
    assert len(set(sets)) == len(sets) == 4 + 2 * 8
    assert ("0", "pseudo-labeled", "1") not in sets
    assert [row["class"] for row in tables["class_iou"]] == ["road", "sky", "a <b> & $c$"] * 3
    assert [row["tail"] for row in tables["class_iou"][:3]] == ["head", "head", "tail"]
    assert len(tables["confusion"]) == 3 * 3 * 4
    of_road = [float(row["share"]) for row in tables["confusion"] if (row["round"], row["true"]) == ("0", "road")]
    assert 0 < sum(of_road) < 1, "pixels without a prediction are in no column"
    assert "pole" not in {row["true"] for row in tables["confusion"]}


@pytest.mark.parametrize("damaged", ["metrics.json", "statistics.json", "curve.tsv", "val_curve.json"])
def test_the_stage_writes_all_or_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str) -> None:
    write_case(tmp_path, Case())
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())
    lists = ("--catalog", "prepared/catalog.json", "--priors", "prepared/class_priors.json")
    words = [*lists, "--rounds", "rounds", "--summary", "summary.json", "--plots", "plots"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in Path("plots").iterdir()) == [
        "class_iou.tsv",
        "confusion.tsv",
        "losses.tsv",
        "validation.tsv",
    ]
    before = Summary.read(Path("summary.json"))
    Path(f"rounds/2/{damaged}").write_text("x")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert damaged in done.output
    assert Summary.read(Path("summary.json")) == before
