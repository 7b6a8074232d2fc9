from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as Official
from cityscapesscripts.helpers.labels import labels as official_labels
from numpy.typing import NDArray
from PIL import Image

from pipeline.evaluation.confusion import confusion_matrix
from pipeline.evaluation.metrics import segmentation_metrics
from pipeline.evaluation.segmentation import iou, mean_iou
from pipeline.samples.class_frequencies import sum_counts

CLASSES = {label.trainId: label for label in official_labels if 0 <= label.trainId < 19}
IGNORED_IDS = tuple(label.id for label in official_labels if label.id >= 0 and label.trainId in {-1, 255})
Array = NDArray[np.uint8]


def official_result(
    folder: Path, truths: list[Array], predictions: list[Array], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Let Cityscapes' own evaluator judge label ids."""
    for name in ("evalInstLevelScore", "evalPixelAccuracy", "JSONOutput"):
        monkeypatch.setattr(Official.args, name, False)
    monkeypatch.setattr(Official.args, "quiet", True)
    names: dict[str, list[str]] = {"truth": [], "prediction": []}
    for index, pair in enumerate(zip(truths, predictions, strict=True)):
        for kind, ids in zip(names, pair, strict=True):
            path = folder / f"{kind}_{index}.png"
            Image.fromarray(ids).save(path)
            names[kind].append(str(path))
    result: dict[str, Any] = Official.evaluateImgLists(names["prediction"], names["truth"], Official.args)
    return result


def to_ids(train_ids: Array, rng: np.random.Generator) -> Array:
    """Train ids to label ids; ignored pixels get any of the ids that Cityscapes does not evaluate."""
    ids = rng.choice(np.array(IGNORED_IDS, np.uint8), size=train_ids.shape)
    for train_id, label in CLASSES.items():
        ids[train_ids == train_id] = label.id
    return ids


def random_case(seed: int) -> tuple[list[Array], list[Array], np.random.Generator]:
    """Predictions right in part, with absent classes, ignored pixels and, for odd seeds, pixels without a prediction."""
    rng = np.random.default_rng(seed)
    present = rng.choice(19, size=int(rng.integers(2, 20)), replace=False)
    truths, predictions = [], []
    for _ in range(3):
        size = (int(rng.integers(1, 30)), int(rng.integers(1, 40)))
        truth = rng.choice(present, size=size).astype(np.uint8)
        prediction = np.where(rng.random(size) < 0.6, truth, rng.choice(present, size=size)).astype(np.uint8)
        truth[rng.random(size) < 0.2] = 255
        prediction[(truth == 255) & (rng.random(size) < 0.5)] = rng.integers(19)
        if seed % 2:
            prediction[rng.random(size) < 0.1] = 255
        truths.append(truth)
        predictions.append(prediction)
    truths[0][0, 0] = predictions[0][0, 0] = present[0]
    return truths, predictions, rng


def test_the_official_classes_are_nineteen() -> None:
    assert sorted(CLASSES) == list(range(19))
    assert len(IGNORED_IDS) > 10


@pytest.mark.parametrize("seed", range(12))
def test_mean_iou_is_that_of_the_official_evaluator(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    truths, predictions, rng = random_case(seed)
    ids = [[to_ids(image, rng) for image in images] for images in (truths, predictions)]
    result = official_result(tmp_path, ids[0], ids[1], monkeypatch)
    confusion = sum_counts((confusion_matrix(t, p, 19) for t, p in zip(truths, predictions, strict=True)), (19, 20))
    class_iou = iou(confusion)
    assert mean_iou(class_iou) == pytest.approx(result["averageScoreClasses"], abs=1e-9)
    ours = {label.name: class_iou[train_id] for train_id, label in CLASSES.items()}
    theirs = {name: result["classScores"][name] for name in ours}
    assert ours == pytest.approx(theirs, abs=1e-9, nan_ok=True)
    for row, true in CLASSES.items():
        for column, predicted in CLASSES.items():
            assert confusion[row, column] == result["confMatrix"][true.id][predicted.id]


def test_a_perfect_prediction_scores_one_in_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 19, (20, 30)).astype(np.uint8)
    ids = to_ids(truth, rng)
    assert official_result(tmp_path, [ids], [ids], monkeypatch)["averageScoreClasses"] == 1.0
    names = [CLASSES[index].name for index in range(19)]
    metrics = segmentation_metrics(confusion_matrix(truth, truth, 19), names, np.ones(19, bool), protocol="")
    assert metrics.mean_iou == metrics.tail_mean_iou == metrics.pixel_accuracy == 1.0
