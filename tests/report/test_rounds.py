import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.files import read_json, write_text
from pipeline.report.record import Round, read_experiment
from tests.report.cases import Case, evaluation, write_case


def read_rounds(folder: Path, keys: Sequence[str]) -> tuple[Round, ...]:
    return read_experiment(folder.parent / "prepared", folder, keys, evaluation()).rounds


def test_rounds_come_in_numerical_order_and_others_are_left_alone(tmp_path: Path) -> None:
    _, folder = write_case(tmp_path, Case(keys=("10", "9", "3")))
    assert [one.key for one in read_rounds(folder, ["10", "9"])] == ["0", "9", "10"]


def test_values_are_those_of_the_files(tmp_path: Path) -> None:
    _, folder = write_case(tmp_path, Case(unpredicted=(1,)))
    first, second, _ = read_rounds(folder, ["1", "2"])
    tree = read_json(folder / "1/metrics.json")
    assert first.selection is None
    assert first.statistics is None
    assert second.metrics.mean_iou == tree["mean_iou"]
    assert second.metrics.iou == tree["iou"]
    assert [row.step for row in second.curve] == [1, 2, 3, 4]
    assert [row.loss_unlabeled for row in second.curve] == pytest.approx([2, 1, 2 / 3, 0.5])
    assert second.statistics is not None
    assert second.statistics.kl.pseudo_labeled.value == math.inf
    statistics = read_json(folder / "1/statistics.json")
    assert second.statistics.kl.pseudo_labeled.smoothed == statistics["kl"]["pseudo_labeled"]["smoothed"]


@pytest.mark.parametrize(
    ("name", "text", "stage"),
    [
        ("metrics.json", None, "run the stage"),
        ("metrics.json", "{}", "evaluate"),
        ("metrics.json", "[]", "evaluate"),
        ("selection.json", None, "run the stage"),
        ("selection.json", "{}", "solve_thresholds"),
        ("statistics.json", None, "statistics"),
        ("statistics.json", "{}", "statistics"),
        ("calibrator.json", None, "calibrate"),
        ("calibrator.json", "[]", "calibrate"),
        ("curve.tsv", None, "trains"),
        ("curve.tsv", "step\tloss\n1\t2\n", "trains"),
        ("curve.tsv", "step\tloss_labeled\tloss_unlabeled\n1\tx\t0\n", "trains"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_named(name: str, text: str | None, stage: str, tmp_path: Path) -> None:
    _, folder = write_case(tmp_path, Case())
    path = folder / "2" / name
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=f"{path} - .*{stage}") as raised:
        read_rounds(folder, ["1", "2"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["metrics.json", "selection.json", "statistics.json"])
def test_a_round_of_other_classes_is_refused(name: str, tmp_path: Path) -> None:
    _, folder = write_case(tmp_path / "right", Case())
    _, other = write_case(tmp_path / "other", Case(class_names=("road", "sky", "pole", "else")))
    write_text(folder / "1" / name, (other / "1" / name).read_text())
    with pytest.raises(ValueError, match=f"{name} - expected .*else"):
        read_rounds(folder, ["1"])
