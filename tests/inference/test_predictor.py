from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipeline.inference.predictor import Predictor, arg_max
from pipeline.inference.sliding_window import predict_windows, window_starts
from pipeline.models.build import build_network
from pipeline.models.normalization import Normalization, normalize
from pipeline.params import Averaged, InferenceParams, read_params
from pipeline.samples.working_size import resize_image
from tests.workspace import ROOT

BASE = read_params(ROOT / "params.yaml").inference
CPU = torch.device("cpu")
AVERAGES: tuple[Averaged, ...] = ("probabilities", "logits")


def predictor(*, average: Averaged = "probabilities", **changes: object) -> Predictor:
    params: InferenceParams = BASE.model_copy(update=changes)
    torch.manual_seed(0)
    model = read_params(ROOT / "params.yaml").model.model_copy(update={"head_width": 8})
    network = build_network(model, 4)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()  # type: ignore[union-attr]
    return Predictor(network, params, CPU, average=average)


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


@given(st.integers(1, 400), st.integers(1, 120), st.floats(0.05, 1.0))
def test_windows_cover_every_pixel_and_stay_inside(length: int, window: int, ratio: float) -> None:
    starts = window_starts(length, window, ratio)
    covered = {pixel for start in starts for pixel in range(start, start + window)}
    assert covered >= set(range(length))
    assert starts == sorted(set(starts))
    assert starts[-1] + window == max(length, window)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"flip": True},
        {"scales": (0.5, 1.0, 1.5)},
        {"long_side": 40},
        {"sliding_window": True, "window_height": 16, "window_width": 24},
        {"sliding_window": True, "window_height": 64, "window_width": 64, "flip": True},
    ],
)
@pytest.mark.parametrize("size", [(30, 50), (1, 1), (33, 17)])
def test_every_protocol_gives_probabilities_at_the_images_own_size(changes: dict[str, Any], size: tuple[int, int]) -> None:
    probs = predictor(**changes).probabilities(image(*size))
    assert probs.shape == (4, *size)
    assert probs.dtype == np.float32
    assert (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(axis=0), 1, atol=1e-5)


def test_one_window_of_the_images_size_is_the_whole_image() -> None:
    whole = predictor().probabilities(image(32, 48))
    window = predictor(sliding_window=True, window_height=32, window_width=48).probabilities(image(32, 48))
    np.testing.assert_allclose(window, whole, atol=1e-6)


def test_the_flip_protocol_is_symmetric() -> None:
    picture = image(24, 40)
    flipped = np.ascontiguousarray(picture[:, ::-1])
    model = predictor(flip=True)
    np.testing.assert_allclose(model.probabilities(flipped)[:, :, ::-1], model.probabilities(picture), atol=1e-5)


def test_the_batch_size_changes_nothing_but_rounding() -> None:
    windows: dict[str, Any] = {"sliding_window": True, "window_height": 16, "window_width": 16}
    one = predictor(**windows, batch_size=1).probabilities(image(40, 40))
    many = predictor(**windows, batch_size=7).probabilities(image(40, 40))
    np.testing.assert_allclose(one, many, atol=1e-5)


def test_overlapping_windows_are_averaged_per_pixel() -> None:
    calls: list[int] = []

    def constant(windows: Tensor) -> Tensor:
        calls.append(len(windows))
        return torch.stack([torch.full((1, 4, 4), float(sum(calls[:-1]) + index)) for index in range(len(windows))])

    result = predict_windows(constant, torch.zeros(3, 4, 6), window=(4, 4), stride_ratio=0.5, batch_size=1)
    # Windows begin at columns 0 and 2 and answer 0 and 1: they overlap in columns 2 and 3.
    assert result[0].tolist() == [[0.0, 0.0, 0.5, 0.5, 1.0, 1.0]] * 4


def test_more_windows_than_anyone_waits_for_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"at most 100,000 windows in an image - found 120,000 of 1x1 in 300x400 - raise stride_ratio"
    ):
        predict_windows(lambda windows: windows, torch.zeros(3, 300, 400), window=(1, 1), stride_ratio=1.0, batch_size=1)


def test_the_prediction_is_the_arg_max() -> None:
    model, picture = predictor(), image(20, 30)
    assert (model.prediction(picture) == model.probabilities(picture).argmax(axis=0)).all()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_shorter_type_predicts_nearly_the_same_and_its_probabilities_are_float32(precision: str) -> None:
    whole, rounded = (predictor(precision=one).probabilities(image(32, 48)) for one in ("float32", precision))
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(rounded, whole, atol=0.02)
    assert (rounded != whole).any()


def test_a_compiled_network_predicts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    # The compiler takes half a minute; that it is called, and that what it leaves is used, is seen without it.
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))  # noqa: PLW0108 - it is bound
    plain = predictor()
    again = Predictor(plain._network, BASE, CPU, compiled=True)
    assert compiled == [plain._network]
    np.testing.assert_array_equal(again.probabilities(image(32, 48)), plain.probabilities(image(32, 48)))


@pytest.mark.parametrize("workers", [1, 3])
def test_many_predictions_come_in_order_and_equal_one_by_one(workers: int) -> None:
    model = predictor()
    pictures = [image(16 + 8 * index, 24) for index in range(5)]
    found = list(model.predictions(pictures.__getitem__, count=5, workers=workers))
    assert all(np.array_equal(one, model.prediction(picture)) for one, picture in zip(found, pictures, strict=True))


def test_the_lowest_class_wins_a_tie() -> None:
    maps = torch.tensor([[0.2, 0.5, 0.1], [0.4, 0.5, 0.1], [0.4, 0.0, 0.8]]).reshape(3, 1, 3)
    assert arg_max(maps).tolist() == [[1, 0, 2]]


def test_a_network_that_computes_nan_is_refused() -> None:
    broken = predictor()
    with torch.no_grad():
        next(iter(broken._network.head_parameters())).fill_(torch.nan)
    with pytest.raises(ValueError, match="found NaN - check its weights"):
        broken.prediction(image(20, 30))


def release_maps(
    network: Callable[[Tensor], Tensor], normalized: Tensor, *, crop: tuple[int, int], ratio: float, softmax: bool
) -> Tensor:
    """Return (C, H, W): what the release's `scale_process` averages of one image, in its order of operations.

    `softmax` is what validate_full_size.py does and gen_pseudo_label_utils.py does not. Its border is the mean color, which is 0
    after the normalization.
    """
    _, own_height, own_width = normalized.shape
    pads = [max(crop[0] - own_height, 0), max(crop[1] - own_width, 0)]
    halves = [int(pad / 2) for pad in pads]
    padded = torch.zeros(3, own_height + pads[0], own_width + pads[1])
    padded[:, halves[0] : halves[0] + own_height, halves[1] : halves[1] + own_width] = normalized
    new_height, new_width = padded.shape[1:]
    strides = [int(np.ceil(side * ratio)) for side in crop]
    grid = [
        int(np.ceil(float(new - side) / stride) + 1) for new, side, stride in zip(padded.shape[1:], crop, strides, strict=True)
    ]
    total: Tensor | float = 0.0
    count = torch.zeros(new_height, new_width)
    for row in range(grid[0]):
        for column in range(grid[1]):
            bottom, right = min(row * strides[0] + crop[0], new_height), min(column * strides[1] + crop[1], new_width)
            window = (slice(bottom - crop[0], bottom), slice(right - crop[1], right))
            pair = torch.stack([padded[:, window[0], window[1]], padded[:, window[0], window[1]].flip(2)])
            maps = network(pair)
            maps = torch.softmax(maps, dim=1) if softmax else maps
            if isinstance(total, float):
                total = torch.zeros(maps.shape[1], new_height, new_width)
            total[:, window[0], window[1]] += (maps[0] + maps[1].flip(2)) / 2
            count[window] += 1
    assert isinstance(total, Tensor)
    return (total / count)[:, halves[0] : halves[0] + own_height, halves[1] : halves[1] + own_width]


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("size", [(40, 70), (15, 70), (40, 20), (11, 13), (25, 33)])
def test_windows_and_flips_are_averaged_as_in_the_release(size: tuple[int, int], average: Averaged) -> None:
    windows: dict[str, Any] = {"sliding_window": True, "window_height": 25, "window_width": 33, "flip": True}
    model = predictor(**windows, average=average)
    picture = image(*size)
    with torch.inference_mode():
        expected = release_maps(
            lambda views: model._network(views).logits,
            model.prepare(picture).images[0],
            crop=(25, 33),
            ratio=2 / 3,
            softmax=average == "probabilities",
        )
        expected = expected if average == "probabilities" else expected.softmax(dim=0)
    np.testing.assert_allclose(model.probabilities(picture), expected.numpy(), atol=2e-6)


def test_the_stride_of_windows_is_rounded_up() -> None:
    assert window_starts(1024, 361, 2 / 3)[:2] == [0, 241]
    assert window_starts(2048, 713, 2 / 3)[:2] == [0, 476]


@pytest.mark.parametrize("size", [(32, 48), (33, 17), (1, 1)])
def test_one_view_at_its_own_size_is_the_same_bytes_by_either_average(size: tuple[int, int]) -> None:
    probs, logits = (predictor(average=average).probabilities(image(*size)) for average in AVERAGES)
    assert probs.tobytes() == logits.tobytes()


def test_averaged_logits_are_other_probabilities_than_averaged_ones_where_views_differ() -> None:
    probs, logits = (
        predictor(flip=True, average=average).probabilities(image(32, 48)) for average in ("probabilities", "logits")
    )
    assert np.abs(probs - logits).max() > 1e-3
    np.testing.assert_allclose(logits.sum(axis=0), 1, atol=1e-5)


def test_images_are_normalized_as_the_weights_of_the_backbone_want_them() -> None:
    network = build_network(read_params(ROOT / "params.yaml").model, 4)
    network.backbone.normalization = Normalization((0.5, 0.4, 0.3), (0.5, 0.2, 0.1))
    prepared = Predictor(network, BASE, CPU).prepare(np.full((2, 3, 3), 255, np.uint8))
    torch.testing.assert_close(prepared.images[0][:, 0, 0], torch.tensor([1.0, 3.0, 7.0]))


def test_a_photo_is_antialiased_where_it_is_shrunk_to_the_working_size() -> None:
    # Lines one pixel wide: without antialiasing every second one would be all that the network sees.
    stripes = np.zeros((40, 80, 3), np.uint8)
    stripes[:, ::4] = 255
    seen: list[Tensor] = []
    network = build_network(read_params(ROOT / "params.yaml").model, 4)
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    Predictor(network, BASE.model_copy(update={"long_side": 20}), CPU).probabilities(stripes)
    assert seen[0].shape[2:] == (10, 20)
    resized = resize_image(stripes, (10, 20))
    assert resized[5, 2:-2].std() < 30
    expected = normalize(resized, network.backbone.normalization)
    assert torch.equal(seen[0][0], expected), "as training resizes it"


@pytest.mark.parametrize("changes", [{}, {"long_side": 40}, {"scales": (0.5, 1.0), "flip": True}, {"long_side": 16}])
@pytest.mark.parametrize("band", [1, 4 * 4 * 50 * 7, 2**28])
def test_labels_and_confidences_are_the_same_for_any_height_of_the_bands(
    changes: dict[str, Any], band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.inference.predictor.BAND_BYTES", band)
    model, picture = predictor(**changes), image(33, 50)
    probs = model.probabilities(picture)
    labels, confidence = model.labels_and_confidence(picture)
    np.testing.assert_allclose(confidence, probs.max(axis=0), atol=2e-6)
    apart = np.sort(probs, axis=0)
    clear = apart[-1] - apart[-2] > 1e-5
    assert np.array_equal(labels[clear], probs.argmax(axis=0)[clear])
    assert clear.mean() > 0.9
