import csv
import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from pipeline.comparison.formats import to_csv, to_markdown
from pipeline.comparison.rows import MEASURES, Comparison, Result, build_rows, measures_by_round
from pipeline.results.summary import FinalSummary, RoundSummary, Summary
from pipeline.seal import seal_json
from tests.workspace import ROOT


def result(run: str, key: str, seed: int, mean_iou: float | None, kl: float | None = 0.1) -> Result:
    values = dict.fromkeys(MEASURES, 0.5)
    return Result(run, key, seed, {**values, "mean_iou": mean_iou, "kl": kl})


ROUNDS: dict[str, list[tuple[str, float, float | None]]] = {
    "none": [("0", 0.30, None), ("1", 0.32, None)],
    "st": [("0", 0.30, None), ("1", 0.31, math.inf)],
    "dars": [("0", 0.30, None), ("1", 0.35, 1e-9)],
}
RESULTS = [
    result(run, key, seed, iou + seed / 100, kl)
    for run, rounds in ROUNDS.items()
    for key, iou, kl in rounds
    for seed in (0, 1, 2)
]


def held_against(results: Iterable[Result], *controls: str) -> dict[str, Sequence[str]]:
    return {name: controls for one in results if (name := one.run.partition("+")[0]) not in controls}


def test_the_measures_of_a_table_are_those_of_the_summary() -> None:
    first = RoundSummary(mean_iou=0.4, tail_mean_iou=None)
    labels = {
        "coverage": 0.2,
        "kl": math.inf,
        "smoothed_kl": 2.5,
        "kl_true": 0.3,
        "smoothed_kl_true": 0.2,
        "pseudo_label_accuracy": None,
    }
    second = RoundSummary(mean_iou=0.5, tail_mean_iou=0.1, gain=0.1, tail_gain=None, **labels)
    final = FinalSummary(round=1, mean_iou=0.5, tail_mean_iou=0.1, gain=0.1, tail_gain=None)
    found = measures_by_round(Summary(final=final, rounds={"0": first, "1": second}))
    assert found == {
        "0": {**dict.fromkeys(MEASURES), "mean_iou": 0.4},
        "1": {"mean_iou": 0.5, "tail_mean_iou": 0.1, **labels},
    }


@pytest.mark.parametrize("path", sorted((ROOT / "data/tables").glob("*.json")), ids=lambda path: path.stem)
def test_the_tables_of_the_repository_read_back_and_all_their_files_say_the_same(path: Path) -> None:
    table = Comparison.read(path)
    assert path.read_text() == seal_json(table.model_dump_json(indent=2))
    assert path.with_suffix(".csv").read_text() == to_csv(table)
    assert path.with_suffix(".md").read_text() == to_markdown(table)


def test_a_row_has_mean_and_sample_standard_deviation_over_seeds() -> None:
    rows = {(row.run, row.round_key): row for row in build_rows(RESULTS, controls=held_against(RESULTS, "none"))}
    spread = rows["dars", "1"].spreads["mean_iou"]
    assert spread is not None
    assert spread.mean == pytest.approx(0.36)
    assert spread.sd == pytest.approx(statistics.stdev([0.35, 0.36, 0.37]))
    infinite = rows["st", "1"].spreads["kl"]
    assert infinite is not None
    assert math.isinf(infinite.mean)
    assert infinite.sd is None
    assert rows["dars", "0"].spreads["kl"] is None
    assert rows["st", "1"].seeds == (0, 1, 2)


def test_gains_are_over_round_zero_and_margins_over_the_control_of_the_same_round() -> None:
    rows = {(row.run, row.round_key): row for row in build_rows(RESULTS, controls=held_against(RESULTS, "none"))}
    gain, margin = rows["dars", "1"].gains["mean_iou"], rows["dars", "1"].margins["mean_iou"]
    assert gain is not None
    assert margin is not None
    assert gain.mean == pytest.approx(0.05)
    assert margin.mean == pytest.approx(0.03)
    assert rows["none", "1"].margins["mean_iou"] is None
    assert rows["dars", "0"].gains["mean_iou"] is None
    assert rows["dars", "0"].margins["mean_iou"] is None


def test_the_divergence_from_the_true_labels_has_a_column_where_it_is_known() -> None:
    def table(kl_true: float | None) -> str:
        known = [Result(one.run, one.round_key, one.seed, {**one.values, "kl_true": kl_true}) for one in RESULTS]
        rows = tuple(build_rows(known, controls=held_against(known, "none")))
        return to_markdown(Comparison(name="t", title="t", data_set="cityscapes", controls=("none",), rows=rows))

    head, _, *lines = table(0.1558).splitlines()
    assert head.endswith("| KL (smoothed) | KL to the true labels (smoothed) |")
    assert all(line.endswith("| 0.16 ± 0 |") for line in lines)
    assert "true labels" not in table(None)


def test_only_seeds_that_both_have_are_paired() -> None:
    some = [one for one in RESULTS if not (one.run == "none" and one.seed == 2)]
    rows = {(row.run, row.round_key): row for row in build_rows(some, controls=held_against(some, "none"))}
    margin = rows["dars", "1"].margins["mean_iou"]
    assert margin is not None
    assert margin.seeds == 2


def test_rows_keep_the_order_of_the_runs() -> None:
    assert [row.run for row in build_rows(RESULTS, controls={})] == ["none", "none", "st", "st", "dars", "dars"]


def comparison(results: Sequence[Result], controls: tuple[str, ...] = ("none",)) -> Comparison:
    rows = tuple(build_rows(results, controls=held_against(results, *controls)))
    return Comparison(name="t", title="T", data_set="streets", controls=controls, rows=rows)


def test_the_three_formats_say_the_same() -> None:
    given = comparison(RESULTS)
    table = list(csv.DictReader(to_csv(given).splitlines()))
    rows = json.loads(given.model_dump_json())["rows"]
    text = to_markdown(given).splitlines()[2:]
    assert len(table) == len(rows) == 6
    for row, cells in zip(rows, table, strict=True):
        assert float(cells["mean_iou_mean"]) == row["spreads"]["mean_iou"]["mean"]
        run = "all" if row["round_key"] == "0" else row["run"]
        line = next(line for line in text if line.startswith(f"| {run} | {row['round_key']} |"))
        assert f"{100 * row['spreads']['mean_iou']['mean']:.1f} ± 1.0" in line
    assert table[3]["kl_mean"] == "inf"
    assert rows[3]["spreads"]["kl"]["mean"] == "inf"
    assert "| infinite (0.5 ± 0) |" in text[2]
    assert "+3.0 (+3.0 to +3.0)*" in text[3]
    assert table[0]["mean_iou_margin_mean"] == ""


def test_iterated_runs_are_held_against_the_control_that_is_iterated_and_changed_ones_against_the_changed() -> None:
    results = [
        *RESULTS,
        *(
            result("none-it", key, seed, iou + seed / 100)
            for key, iou in (("0", 0.3), ("1", 0.32), ("2", 0.34))
            for seed in (0, 1, 2)
        ),
        *(result("dars-it", key, seed, iou + seed / 100) for key, iou in (("1", 0.35), ("2", 0.40)) for seed in (0, 1, 2)),
        *(result("dars+alpha=0.5", "1", seed, 0.36 + seed / 100) for seed in (0, 1, 2)),
        *(result("none+steps=9", "1", seed, 0.1 + seed / 100) for seed in (0, 1, 2)),
        *(result("dars+steps=9", "1", seed, 0.3 + seed / 100) for seed in (0, 1, 2)),
    ]
    table = build_rows(results, controls=held_against(results, "none", "none-it"))
    rows = {(row.run, row.round_key): row.margins["mean_iou"] for row in table}
    expected = {("dars-it", "1"): 0.03, ("dars-it", "2"): 0.06, ("dars+steps=9", "1"): 0.2, ("none-it", "2"): None}
    for key, margin in {**expected, ("dars+alpha=0.5", "1"): None}.items():
        found = rows[key]
        assert margin == (None if found is None else pytest.approx(found.mean)), key
    one = [Result(other.run, other.round_key, other.seed, {**other.values, "kl": None}) for other in results]
    assert "| none, none-it | 1 |" in to_markdown(comparison(one, ("none", "none-it")))


def test_runs_with_the_same_teacher_share_its_row() -> None:
    assert [line.split(" | ")[:2] for line in to_markdown(comparison(RESULTS)).splitlines()[2:]] == [
        ["| all", "0"], ["| none", "1"], ["| st", "1"], ["| dars", "1"],
    ]  # fmt: skip
    focal = [result("focal", "0", seed, 0.2) for seed in (0, 1, 2)]
    lines = [line.split(" | ")[:2] for line in to_markdown(comparison([*RESULTS, *focal])).splitlines()[2:]]
    assert lines == [["| none, st, dars", "0"], ["| none", "1"], ["| st", "1"], ["| dars", "1"], ["| focal", "0"]]


@pytest.mark.parametrize("controls", [("none",), ()])
def test_a_table_reads_back_as_it_was(tmp_path: Path, controls: tuple[str, ...]) -> None:
    given = comparison(RESULTS, controls)
    given.write(tmp_path / "t.json")
    assert Comparison.read(tmp_path / "t.json") == given


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [{}]}', '{"rows": 1}'])
def test_what_is_no_table_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(ValueError, match=r"t\.json - .* - delete it and run the stage `python -m stages\.table`"):
        Comparison.read(tmp_path / "t.json")


@pytest.mark.parametrize(
    "change", [lambda spreads: spreads.pop("kl"), lambda spreads: spreads.update(realized_ratio=spreads.pop("coverage"))]
)
def test_a_table_whose_measures_are_others_is_named(tmp_path: Path, change: Callable[[dict[str, object]], object]) -> None:
    tree = json.loads(comparison(RESULTS, ()).model_dump_json())
    change(tree["rows"][0]["spreads"])
    (tmp_path / "t.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=r"t\.json - .* - delete it and run the stage `python -m stages\.table`"):
        Comparison.read(tmp_path / "t.json")


def test_one_seed_prints_without_a_deviation() -> None:
    assert "| 50.0 |" in to_markdown(comparison([result("dars", "1", 0, 0.5)], ()))


def test_a_run_with_a_control_of_its_own_is_held_against_that() -> None:
    results = [*RESULTS, *(result("few", "1", seed, 0.2 + seed / 100) for seed in (0, 1, 2))]
    table = build_rows(results, controls={"st": ("none",), "dars": ("few",)})
    rows = {(row.run, row.round_key): row for row in table}
    own, usual = rows["dars", "1"].margins["mean_iou"], rows["st", "1"].margins["mean_iou"]
    assert own is not None
    assert usual is not None
    assert own.mean == pytest.approx(0.15)
    assert usual.mean == pytest.approx(-0.01)
    assert rows["few", "1"].margins["mean_iou"] is None, "a control has none"
