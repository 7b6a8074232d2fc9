"""What is predicted in stripes and bands is, to the last bit, what is predicted in memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.inference.predictor import Predictor
from pipeline.models.build import build_network
from pipeline.models.network import SegmentationNetwork
from pipeline.params import InferenceParams, read_params
from pipeline.rasters import banded
from pipeline.rasters.banded import BandedPredictor, in_windows
from pipeline.rasters.blocks import ImageError, Read
from tests.models.sections import SMALL_NETWORKS, model_params
from tests.workspace import ROOT

CPU = torch.device("cpu")


def protocol(**changes: Any) -> InferenceParams:
    windows = {"sliding_window": True, "window_height": 24, "window_width": 32, "batch_size": 4}
    return read_params(ROOT / "params.yaml").inference.model_copy(update={**windows, **changes})


def network(name: str = "pspnet", classes: int = 5) -> SegmentationNetwork:
    torch.manual_seed(0)
    return build_network(model_params(head_width=8) if name == "pspnet" else SMALL_NETWORKS[name], classes)


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3)).astype(np.uint8)


def reader(image: NDArray[np.uint8]) -> Read:
    return lambda rows, columns: image[rows, columns]


def put_together(predictor: BandedPredictor, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32], int]:
    """Return labels, confidences and the number of steps; every pixel must come once."""
    size = image.shape[0], image.shape[1]
    labels, confidence, visits = np.zeros(size, np.uint8), np.zeros(size, np.float32), np.zeros(size, np.int64)
    steps = 0
    for blocks in predictor.blocks(size, reader(image)):
        steps += 1
        for block in blocks:
            labels[block.rows, block.columns], confidence[block.rows, block.columns] = block.labels, block.confidence
            visits[block.rows, block.columns] += 1
    assert (visits == 1).all()
    assert steps == predictor.count_windows(size)
    return labels, confidence, steps


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stripes of 70 columns, blocks of a few rows: an image for a test then needs several of both."""
    monkeypatch.setattr(banded, "BAND_BYTES", 40 * 24 * 70)
    monkeypatch.setattr(banded, "BLOCK_BYTES", 4 * 5 * 70 * 5)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", ["pspnet", "deeplabv3", "deeplabv3-mobile", "lraspp"])
@pytest.mark.parametrize("flip", [False, True])
def test_labels_and_confidences_are_those_of_the_whole_image_to_the_last_bit(name: str, flip: bool) -> None:
    predictor = BandedPredictor(network(name), protocol(flip=flip), CPU)
    image = picture(101, 203)
    labels, confidence, steps = put_together(predictor, image)
    expected = predictor.labels_and_confidence(image)
    assert np.array_equal(labels, expected[0])
    assert np.array_equal(confidence, expected[1])
    assert steps > 60, "several stripes, which share windows"


@pytest.mark.usefixtures("narrow")
@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 200),
    stride=st.floats(0.3, 1.0),
    batch=st.integers(1, 7),
    columns=st.integers(1, 150),
    classes=st.integers(2, 9),
)
def test_any_size_stride_batch_and_stripe_give_the_same(
    height: int, width: int, stride: float, batch: int, columns: int, classes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(banded, "BAND_BYTES", (4 * classes + 20) * 24 * columns)
        predictor = BandedPredictor(network(classes=classes), protocol(stride_ratio=stride, batch_size=batch), CPU)
        labels, confidence, _ = put_together(predictor, picture(height, width))
    expected = predictor.labels_and_confidence(picture(height, width))
    assert np.array_equal(labels, expected[0])
    assert np.array_equal(confidence, expected[1])


def test_the_classes_are_those_of_every_other_command_and_confidences_differ_in_no_more_than_the_last_bit() -> None:
    labels, confidence = BandedPredictor(network(), protocol(), CPU).labels_and_confidence(picture(61, 83))
    expected = Predictor(network(), protocol(), CPU).labels_and_confidence(picture(61, 83))
    assert np.array_equal(labels, expected[0])
    np.testing.assert_array_max_ulp(confidence, expected[1], maxulp=1)


def test_only_windows_at_the_size_and_scale_of_the_image_need_no_more_than_a_window_at_a_time() -> None:
    changes: list[dict[str, Any]] = [{}, {"flip": True}, {"long_side": 40}, {"scales": (0.5, 1.0)}, {"sliding_window": False}]
    found = [BandedPredictor(network(), protocol(**change), CPU).by_windows for change in changes]
    assert found == [True, True, False, False, False]
    assert BandedPredictor(
        network(), in_windows(protocol(**{**changes[2], **changes[3], **changes[4]}), 48, say=print), CPU
    ).by_windows


def test_an_absurd_number_of_windows_is_told_in_a_line() -> None:
    with pytest.raises(ImageError, match=r"^of 30000x30000 pixels - expected at most 100,000 windows - found .* of 24x32 - give"):
        BandedPredictor(network(), protocol(), CPU).count_windows((30_000, 30_000))


@pytest.mark.parametrize("side", [0, 15, 8193])
def test_a_side_of_no_window_is_told_in_a_line(side: int) -> None:
    with pytest.raises(ValueError, match=f"^--window - expected 16 to 8192 pixels - found {side} - give"):
        in_windows(protocol(), side, say=print)
