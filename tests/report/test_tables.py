import math
from pathlib import Path

import pytest

from pipeline.divergence import Divergence
from pipeline.report.findings import facts, summary, tiles
from pipeline.report.label_tables import group_table, overlap_table
from pipeline.report.numerals import MINUS, NONE, count, nats, percent, points, tone
from pipeline.report.tables import Table, iou_table, rounds_table, selection_table
from pipeline.results.summary import difference
from tests.report.cases import NAMES, Case, read_case


def texts(table: Table) -> dict[str, list[str]]:
    return {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in table.rows}


@pytest.mark.parametrize(
    ("value", "text", "look"),
    [(0.01234, "+1.23", "up"), (-0.5, f"{MINUS}50.00", "down"), (-1e-9, "0.00", ""), (0.0, "0.00", ""), (None, NONE, "")],
)
def test_a_difference_has_a_sign_unless_it_rounds_to_nothing(value: float | None, text: str, look: str) -> None:
    assert points(value) == text
    assert tone(text) == look


def test_numbers_are_spelled_for_people() -> None:
    assert (percent(0.123456), percent(1.0, 1), percent(None), count(1234567)) == ("12.35", "100.0", NONE, "1,234,567")
    assert (difference(0.5, 0.25), difference(None, 0.5), difference(0.5, None)) == (0.25, None, None)
    assert nats(Divergence(value=0.01417, smoothed=0.0141)) == "0.0142"
    assert nats(Divergence(value=math.inf, smoothed=0.25)) == "\N{INFINITY} (smoothed 0.2500)"
    assert nats(Divergence(value=None, smoothed=None)) == NONE


def test_the_table_of_rounds_says_what_the_files_say(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    rows = texts(rounds_table(experiment))
    last = experiment.last
    assert last.selection is not None
    assert last.statistics is not None
    assert rows["mIoU"][:3] == [percent(one.metrics.mean_iou) for one in experiment.rounds]
    assert rows["mIoU"][3] == points(difference(last.metrics.mean_iou, experiment.first.metrics.mean_iou))
    assert rows["alpha asked"] == [NONE, "50.00", "50.00", ""]
    assert rows["coverage"][2] == percent(last.selection.coverage) == percent(last.statistics.coverage)
    assert rows["shortfall, pixels"][2] == count(sum(last.selection.shortfalls))
    assert rows["KL of the pseudo labels, nats"][2] == nats(last.statistics.kl.pseudo_labeled)
    assert rows["KL of the predictions, nats"][2] == nats(last.statistics.kl.predicted)
    assert rows["KL to the true labels, nats"][2] == nats(last.statistics.kl_true) != NONE


def test_the_control_has_no_ratio_no_threshold_and_no_divergence(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case(method="none"))
    rows = texts(rounds_table(experiment))
    assert rows["alpha asked"] == rows["KL of the pseudo labels, nats"] == rows["pseudo-label accuracy"] == [NONE] * 3 + [""]
    assert rows["coverage"][1:3] == ["0.00", "0.00"]
    selection = texts(selection_table(experiment, experiment.last))
    assert all(selection[name][1] == selection[name][3] == NONE for name in NAMES)


def test_an_unpredicted_class_makes_the_divergence_infinite_and_its_shortfall_stands_out(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case(unpredicted=(1,)))
    assert "\N{INFINITY}" in texts(rounds_table(experiment))["KL of the pseudo labels, nats"][2]
    row = selection_table(experiment, experiment.last).rows[1]
    assert row.cells[0].text == "sky"
    assert (row.cells[1].text, row.cells[2].text, row.cells[7].tone) == ("0", NONE, "warn")
    assert any("could not fill the targets" in sentence for sentence in summary(experiment))
    assert summary(experiment)[0].startswith("In round 1, the teacher never predicts 1 of 4 classes: sky. No method can label")


def test_a_measure_over_one_class_is_no_measure(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case(absent=(1, 2, 3)))
    assert "Only 1 class counts: mIoU says little. Look whether the class list is right." in summary(experiment)


def test_the_table_of_overlap_says_what_thresholds_alone_would_label(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    table = overlap_table(experiment)
    assert table is not None
    rows = texts(table)
    statistics, selection = experiment.last.statistics, experiment.last.selection
    assert statistics is not None
    assert selection is not None
    tied = sum(entry.tied_float16 for entry in statistics.classes)
    assert rows["at 1 in float16"][1] == percent(tied / statistics.num_pixels)
    assert rows["of infinite log odds"] == ["0.00", "0.00"]
    assert rows["labeled by thresholds alone (da)"][1] == percent(sum(selection.qualifying_counts) / selection.num_pixels)
    assert rows["wanted (dars)"][1] == "50.00"
    assert rows["KL of that, nats"][1] == nats(statistics.kl.qualifying)
    assert rows["KL of that, nats "][1] == nats(statistics.kl.targets)
    control = overlap_table(read_case(tmp_path / "control", Case(method="none")))
    assert control is not None
    assert "wanted (dars)" not in texts(control)


def test_the_groups_of_classes_have_the_means_of_their_members(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    table = group_table(experiment)
    assert table is not None
    rows = texts(table)
    assert [rows[group][0] for group in rows] == ["0", "2", "2", "0"]
    assert experiment.last.statistics is not None
    members = [entry.name for entry in experiment.last.statistics.classes if entry.group == "rare, large"]
    values = [experiment.last.metrics.iou[name] for name in members]
    assert rows["rare, large"][3] == percent(sum(value or 0 for value in values) / len(values))
    assert rows["rare, small"][1:] == [NONE] * 4


def test_tail_classes_are_marked_and_an_absent_class_has_no_gain(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case(absent=(2,)))
    table = iou_table(experiment)
    assert [row.cells[0].tag for row in table.rows] == ["", "", "tail", "tail", "", ""]
    share, interval, *measures = texts(table)["pole"]
    assert measures == [NONE] * 4
    low, high = map(float, interval.split(" - "))
    assert low <= float(share) <= high


@pytest.mark.parametrize(("keys", "word"), [(("1", "2"), "rose by"), ((), "no round of self-training")])
def test_the_summary_is_computed_from_the_figures(keys: tuple[str, ...], word: str, tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case(keys=keys))
    assert any(word in sentence for sentence in summary(experiment))


def test_a_loss_is_called_a_loss_and_a_better_round_is_named(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    first, middle, last = experiment.rounds
    turned = type(experiment)(**{**vars(experiment), "rounds": (last, middle, first)})
    sentences = " ".join(summary(turned))
    assert "mIoU fell by" in sentences
    assert "The best mIoU" in sentences
    assert [tile.tone for tile in tiles(turned)] == ["down", "down"]


def test_an_undefined_tail_is_said_to_be_undefined(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case(absent=(2, 3)))
    assert "tail mIoU is not defined" in summary(experiment)[0]
    assert (tiles(experiment)[1].value, tiles(experiment)[1].note) == (NONE, "")


def test_the_head_says_which_ratio_was_used(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    settings = Case().settings

    def ratio(**changes: object) -> str:
        return dict(facts(experiment, settings | changes))["Labeling ratio"]

    assert ratio() == "0.5 in round 1, 0.5 in round 2"
    assert ratio(method="none") == "not used"
    assert "0.96" in ratio(method="st", st_confidence=0.96)
