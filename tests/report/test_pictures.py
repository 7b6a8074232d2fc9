import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.files import digest
from pipeline.report.figures import class_distributions, class_iou, training_curves, validation_curves
from pipeline.report.label_figures import accuracy_by_region, confidence_histograms, reliability
from pipeline.report.label_tables import group_table, overlap_table
from pipeline.report.pictures import (
    LONGEST_SIDE,
    MOST_SUGGESTIONS,
    Picture,
    pseudo_label_rows,
    suggestion_rows,
    validation_rows,
)
from pipeline.samples.images import NO_LABEL_COLOR, read_label_png
from pipeline.suggestions.table import Suggestion, write_suggestions
from tests.report.cases import Case, read_case


def decode(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2])))


def test_a_validation_row_holds_image_truth_and_every_round(tmp_path: Path) -> None:
    rows = validation_rows(read_case(tmp_path, Case()))
    assert [row.image_id for row in rows] == ["val_0", "val_1"]
    assert [picture.caption for picture in rows[0].pictures] == [
        "image", "true labels", "prediction, round 0", "prediction, round 1", "prediction, round 2",
    ]  # fmt: skip
    assert [decode(picture).size for picture in rows[1].pictures] == [(6, 12)] * 5


def test_images_of_which_no_round_kept_a_prediction_are_not_shown(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    for round_ in experiment.rounds:
        (round_.folder / "examples/val_0.png").unlink()
    assert [row.image_id for row in validation_rows(experiment)] == ["val_1"]


def test_a_prediction_that_one_round_lacks_is_named(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    (experiment.last.folder / "examples/val_0.png").unlink()
    with pytest.raises(ValueError, match=r"examples/val_0\.png - expected an image file - found none"):
        validation_rows(experiment)


def test_true_labels_of_unlabeled_images_are_shown_where_they_are_known(tmp_path: Path) -> None:
    rows = pseudo_label_rows(read_case(tmp_path, Case()), 3)
    assert ["true labels" in [picture.caption for picture in row.pictures] for row in rows] == [True, True, False]


@pytest.mark.parametrize(("number", "shown"), [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 1, 2])])
def test_unlabeled_images_are_spread_over_the_list(number: int, shown: list[int], tmp_path: Path) -> None:
    rows = pseudo_label_rows(read_case(tmp_path, Case()), number)
    assert [row.image_id for row in rows] == [f"unlabeled_{index}" for index in shown]


def test_pictures_show_the_palette_of_the_catalog(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    catalog = experiment.catalog
    labels = read_label_png(
        experiment.last.folder / "pseudo_labels/unlabeled_0.png", num_classes=catalog.num_classes, size=(8, 12)
    )
    shown = np.asarray(decode(pseudo_label_rows(experiment, 1)[0].pictures[2]).convert("RGB"))
    expected = np.array([*catalog.colors, NO_LABEL_COLOR])[np.where(labels == 255, catalog.num_classes, labels)]
    np.testing.assert_array_equal(shown, expected)


def test_large_pictures_are_reduced_and_labels_stay_labels(tmp_path: Path) -> None:
    case = Case(sizes=((LONGEST_SIDE * 2, LONGEST_SIDE),), keys=(), examples=1)
    row = validation_rows(read_case(tmp_path, case))[0]
    image, *labels = map(decode, row.pictures)
    assert (image.format, image.size) == ("JPEG", (LONGEST_SIDE // 2, LONGEST_SIDE))
    colors = {*case.catalog.colors, NO_LABEL_COLOR}
    for picture in labels:
        assert picture.size == image.size
        assert {tuple(color) for color in np.asarray(picture.convert("RGB")).reshape(-1, 3).tolist()} <= colors


def test_diagrams_are_svg_of_their_own_without_a_date(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case(unpredicted=(3,), snapshots=3))
    drawn = (class_distributions, training_curves, validation_curves, class_iou, confidence_histograms, accuracy_by_region)
    for picture in (
        reliability(read_case(tmp_path / "calibrated", Case(calibrated=True))),
        *(draw(experiment) for draw in drawn),
    ):
        assert picture is not None
        svg = base64.b64decode(picture.source.partition(",")[2]).decode()
        assert "</svg>" in svg
        assert "<dc:date>" not in svg
        assert "mathdefault" not in svg, "a number spelled as a formula"
        assert 'href="http' not in svg
        assert picture.alt


def test_a_round_without_students_has_no_distribution(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    alone = replace(experiment, rounds=experiment.rounds[:1])
    for draw in (class_distributions, confidence_histograms, accuracy_by_region, reliability, overlap_table, group_table):
        assert draw(alone) is None


def test_what_is_not_known_is_not_drawn(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case(truth=False))
    assert accuracy_by_region(experiment) is None
    assert reliability(experiment) is None


def test_without_snapshots_there_is_no_validation_curve(tmp_path: Path) -> None:
    assert validation_curves(read_case(tmp_path, Case())) is None


def write_table(folder: Path, image_ids: list[str], *, key: str = "1", selection: str | None = None) -> Path:
    rows = [Suggestion(image_id, Path("x.png"), 1.0, f"likely holds {image_id}") for image_id in image_ids]
    own = selection or digest(folder / f"rounds/{key}/selection.json")
    write_suggestions(folder / f"suggestions/{key}.tsv", rows, selection=own)
    return folder / "suggestions"


def test_suggested_images_are_shown_in_order_with_their_reason_and_without_true_labels(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    [(label, rows)] = suggestion_rows(experiment, write_table(tmp_path, ["unlabeled_1", "unlabeled_0"]))
    assert label == "Round 1"
    assert [(row.image_id, row.note) for row in rows] == [
        ("1. unlabeled_1", "likely holds unlabeled_1"), ("2. unlabeled_0", "likely holds unlabeled_0"),
    ]  # fmt: skip
    assert [picture.caption for picture in rows[0].pictures] == ["image", "pseudo labels, round 1"]


def test_suggestions_of_another_experiment_are_not_shown(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    assert suggestion_rows(experiment, tmp_path / "nowhere") == []
    assert suggestion_rows(experiment, write_table(tmp_path, ["unlabeled_1"], selection="ab" * 32)) == []
    write_table(tmp_path, ["unlabeled_1"], key="2", selection=digest(tmp_path / "rounds/1/selection.json"))
    assert suggestion_rows(experiment, tmp_path / "suggestions") == []


def test_a_page_shows_no_more_suggestions_than_a_person_looks_at(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case(sizes=((2, 3),) * (MOST_SUGGESTIONS + 3)))
    names = [sample.image_id for sample in experiment.unlabeled]
    [(_, rows)] = suggestion_rows(experiment, write_table(tmp_path, names))
    assert len(rows) == MOST_SUGGESTIONS


def test_a_suggestion_that_is_no_unlabeled_image_is_one_line(tmp_path: Path) -> None:
    experiment = read_case(tmp_path, Case())
    with pytest.raises(ValueError, match=r"suggestions/1\.tsv - expected unlabeled images - found val_0 - run `python -m"):
        suggestion_rows(experiment, write_table(tmp_path, ["val_0"]))
