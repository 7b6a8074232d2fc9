import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.evaluation.confusion import confusion_matrix, measure_samples
from pipeline.evaluation.examples import keep_examples
from pipeline.evaluation.metrics import Metrics, segmentation_metrics
from pipeline.evaluation.segmentation import iou, mean_iou, tail_classes
from pipeline.inference.protocol import describe_protocol
from pipeline.params import EvaluationParams, InferenceParams
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import sum_counts
from pipeline.samples.images import read_label_png
from pipeline.samples.sample_lists import Sample
from tests import reference

NAMES = ("road", "sky", "car", "bicycle")
PIXELS = st.lists(st.tuples(st.sampled_from((0, 1, 2, 3, 255)), st.sampled_from((0, 1, 2, 3, 255))), max_size=60)


def arrays(pixels: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(pixels, np.uint8).reshape(-1, 2)
    return table[:, :1], table[:, 1:]


@given(PIXELS)
def test_the_confusion_matrix_is_counted_pixel_by_pixel(pixels: list[tuple[int, int]]) -> None:
    labels, prediction = arrays(pixels)
    confusion = confusion_matrix(labels, prediction, 4)
    expected = reference.confusion([true for true, _ in pixels], [predicted for _, predicted in pixels], 4)
    assert confusion.tolist() == expected
    assert confusion.dtype == np.int64


@given(PIXELS)
def test_iou_and_its_mean_are_those_of_the_definition(pixels: list[tuple[int, int]]) -> None:
    expected = reference.iou([true for true, _ in pixels], [predicted for _, predicted in pixels], 4)
    class_iou = iou(confusion_matrix(*arrays(pixels), 4))
    nan_for_none = [math.nan if value is None else value for value in expected]
    assert class_iou.tolist() == pytest.approx(nan_for_none, rel=1e-12, nan_ok=True)
    tail = np.array([False, True, False, True])
    for found, wanted in (
        (mean_iou(class_iou), reference.mean(expected)),
        (mean_iou(class_iou, tail), reference.mean([expected[1], expected[3]])),
    ):
        assert found is None if wanted is None else found == pytest.approx(wanted, rel=1e-12)


@given(st.lists(PIXELS, max_size=4))
def test_confusions_add_up_over_images(images: list[list[tuple[int, int]]]) -> None:
    together = confusion_matrix(*arrays([pixel for image in images for pixel in image]), 4)
    apart = sum_counts((confusion_matrix(*arrays(image), 4) for image in images), (4, 5))
    np.testing.assert_array_equal(apart, together)


@given(PIXELS)
def test_metrics_are_plain_values_and_none_where_undefined(pixels: list[tuple[int, int]]) -> None:
    confusion = confusion_matrix(*arrays(pixels), 4)
    metrics = segmentation_metrics(confusion, NAMES, np.array([False, False, False, True]), protocol="as always")
    valid = [(true, predicted) for true, predicted in pixels if true < 4]
    right = sum(1 for true, predicted in valid if true == predicted)
    assert metrics.pixel_accuracy == (right / len(valid) if valid else None)
    assert list(metrics.iou) == list(NAMES)
    assert all(value is None or type(value) is float for value in metrics.iou.values())
    assert metrics.tail_classes == ("bicycle",)
    assert metrics.tail_mean_iou == metrics.iou["bicycle"]
    assert (metrics.mean_iou is None) == (not valid)
    assert Metrics.model_validate_json(metrics.model_dump_json()) == metrics


@given(PIXELS)
def test_everything_can_be_measured_again_from_the_confusion_matrix_of_the_file(pixels: list[tuple[int, int]]) -> None:
    tail = np.array([True, False, False, True])
    metrics = segmentation_metrics(confusion_matrix(*arrays(pixels), 4), NAMES, tail, protocol="as always")
    assert segmentation_metrics(np.array(metrics.confusion), NAMES, tail, protocol="as always") == metrics


def test_counts_beyond_32_bits_keep_every_pixel() -> None:
    confusion = np.array([[2**33, 1, 0], [1, 2**33, 0]])
    assert iou(confusion)[0] == pytest.approx(2**33 / (2**33 + 2), abs=1e-15)


def evaluation_params(names: tuple[str, ...] | None, share: float = 0.05) -> EvaluationParams:
    return EvaluationParams(tail_share=share, tail_classes=names, examples=0, curve_images=None)


def test_tail_classes_are_those_below_the_share_or_those_named() -> None:
    priors = np.array([0.5, 0.44, 0.05, 0.01])
    assert tail_classes(NAMES, priors, evaluation_params(None)).tolist() == [False, False, False, True]
    assert tail_classes(NAMES, priors, evaluation_params(("sky", "road"))).tolist() == [True, True, False, False]
    none = tail_classes(NAMES, priors, evaluation_params(()))
    assert none.tolist() == [False] * 4
    assert mean_iou(np.ones(4), none) is None


def test_a_tail_class_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"^params.yaml - evaluation.tail_classes - .* - found tram - correct it$") as error:
        tail_classes(NAMES, np.full(4, 0.25), evaluation_params(("sky", "tram")))
    assert "\n" not in str(error.value)


def test_samples_are_measured_against_their_label_files(tmp_path: Path) -> None:
    catalog = Catalog(name="two", class_names=NAMES[:2], colors=((1, 2, 3), (4, 5, 6)), train_ids={7: 0, 8: 1, 0: 255})
    Image.fromarray(np.array([[7, 8], [0, 8]], np.uint8)).save(tmp_path / "a.png")
    sample = Sample("a", height=2, width=2, image=tmp_path / "none.png", image_sha256="", labels=tmp_path / "a.png")
    predictions = [np.array([[0, 0], [1, 255]], np.uint8), np.array([[1, 1], [1, 1]], np.uint8)]
    found = measure_samples([sample, sample], catalog, predictions, progress=lambda items, **_: items)
    assert found.tolist() == [[1, 1, 0], [1, 2, 1]]


def test_the_first_predictions_are_kept_as_pictures_and_all_are_passed_on(tmp_path: Path) -> None:
    catalog = Catalog(name="two", class_names=NAMES[:2], colors=((1, 2, 3), (4, 5, 6)), train_ids={})
    samples = [Sample(name, height=1, width=2, image=tmp_path, image_sha256="") for name in ("a", "b", "c")]
    predictions = [np.array([[0, label]], np.uint8) for label in (0, 1, 1)]
    assert list(keep_examples(tmp_path, samples, predictions, catalog, number=2)) == predictions
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    assert read_label_png(tmp_path / "b.png", num_classes=2, size=(1, 2)).tolist() == [[0, 1]]


def inference_params(**changes: object) -> InferenceParams:
    values: dict[str, object] = {
        "long_side": None, "scales": (1.0,), "flip": False, "sliding_window": False, "window_height": 361,
        "window_width": 713, "stride_ratio": 2 / 3, "batch_size": 4, "precision": "float32",
    }  # fmt: skip
    return InferenceParams.model_validate({**values, **changes})


def test_the_protocol_names_every_parameter_that_changes_a_score() -> None:
    plain = describe_protocol(inference_params(), data="streets", images=64)
    assert plain == "64 val images of streets, own size, whole image, scale 1, no flip"
    changes: list[dict[str, object]] = [
        {"long_side": 1024}, {"scales": (0.5, 1.0)}, {"flip": True}, {"sliding_window": True},
        {"sliding_window": True, "window_height": 1}, {"sliding_window": True, "stride_ratio": 0.5}, {"precision": "bfloat16"},
    ]  # fmt: skip
    lines = [describe_protocol(inference_params(**change), data="streets", images=64) for change in changes]
    assert len({plain, *lines}) == len(changes) + 1
    assert describe_protocol(inference_params(batch_size=1, window_height=9), data="streets", images=64) == plain
    assert all("\n" not in line for line in lines)
