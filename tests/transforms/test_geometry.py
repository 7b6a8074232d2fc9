import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.models.normalization import IMAGENET, normalize
from pipeline.runtime import import_torchvision
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.transforms.augment import apply
from pipeline.transforms.draws import Draw
from pipeline.transforms.geometry import map_crop

torchvision = import_torchvision()

Image = NDArray[np.uint8]

geometric_draws = st.builds(
    Draw,
    scale=st.floats(0.2, 3.0),
    angle=st.one_of(st.just(0.0), st.floats(-10.0, 10.0), st.floats(-180.0, 180.0)),
    flip=st.booleans(),
    top=st.floats(0.0, 1.0, exclude_max=True),
    left=st.floats(0.0, 1.0, exclude_max=True),
)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def noise(height: int, width: int, seed: int = 0) -> tuple[Image, Image]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    return image, rng.integers(0, 20, (height, width), np.uint8)


def positions(draw: Draw, source: tuple[int, int], crop: tuple[int, int]) -> tuple[NDArray[np.float64], ...]:
    """Source y and x of every crop pixel, from forward 3 x 3 matrices on corner coordinates (a pixel is 1 wide)."""

    def move(x: float, y: float) -> NDArray[np.float64]:
        return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])

    height, width = (max(1, round(draw.scale * side)) for side in source)
    room_y, room_x = height - crop[0], width - crop[1]
    top = math.floor(draw.top * (room_y + 1)) if room_y >= 0 else -((crop[0] - height) // 2)
    left = math.floor(draw.left * (room_x + 1)) if room_x >= 0 else -((crop[1] - width) // 2)
    scaling = np.diag([width / source[1], height / source[0], 1.0])
    turn = math.radians(draw.angle)  # counterclockwise where y points down
    rotation = np.array([[math.cos(turn), math.sin(turn), 0.0], [-math.sin(turn), math.cos(turn), 0.0], [0, 0, 1.0]])
    rotation = move(width / 2, height / 2) @ rotation @ move(-width / 2, -height / 2)
    flip = move(width, 0.0) @ np.diag([-1.0, 1.0, 1.0]) if draw.flip else np.eye(3)
    backward = np.linalg.inv(move(-left, -top) @ flip @ rotation @ scaling)
    rows, cols = np.mgrid[: crop[0], : crop[1]] + 0.5
    x, y, _ = np.einsum("ab,bhw->ahw", backward, np.stack([cols, rows, np.ones_like(rows)]))
    return y - 0.5, x - 0.5


@settings(deadline=None, max_examples=150)
@given(draw=geometric_draws, source=sizes, crop=sizes)
def test_a_crop_equals_the_slow_bilinear_and_nearest_reading_of_the_composed_matrices(
    draw: Draw, source: tuple[int, int], crop: tuple[int, int]
) -> None:
    image, labels = noise(*source)
    result, result_labels = apply(draw, image, labels, crop_size=crop, normalization=IMAGENET)
    y, x = positions(draw, source, crop)

    padded = np.zeros((3, source[0] + 2, source[1] + 2))
    padded[:, 1:-1, 1:-1] = normalize(image, IMAGENET).numpy()
    expected = np.zeros((3, *crop))
    for row in (np.floor(y), np.floor(y) + 1):
        for col in (np.floor(x), np.floor(x) + 1):
            weight = (1 - np.abs(y - row)) * (1 - np.abs(x - col))
            inside = (row >= -1) & (row <= source[0]) & (col >= -1) & (col <= source[1])
            expected += (
                np.where(inside, weight, 0.0)
                * padded[
                    :,
                    np.clip(row + 1, 0, source[0] + 1).astype(int),
                    np.clip(col + 1, 0, source[1] + 1).astype(int),
                ]
            )
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-3)

    row, col = np.round(y), np.round(x)
    clear = (np.abs(y - row) < 0.4999) & (np.abs(x - col) < 0.4999)  # elsewhere rounding may go either way
    inside = (row >= 0) & (row < source[0]) & (col >= 0) & (col < source[1])
    nearest = labels[np.clip(row, 0, source[0] - 1).astype(int), np.clip(col, 0, source[1] - 1).astype(int)]
    assert (result_labels.numpy() == np.where(inside, nearest, IGNORE_INDEX))[clear].all()


@settings(deadline=None, max_examples=100)
@given(draw=geometric_draws, crop=sizes)
def test_image_and_labels_name_the_same_place(draw: Draw, crop: tuple[int, int]) -> None:
    height, width, cell = 60, 90, 6
    rows, cols = np.mgrid[:height, :width]
    image = np.stack([cols, rows, np.full_like(rows, 255)], axis=-1).astype(np.uint8)
    labels = (rows // cell * (width // cell) + cols // cell).astype(np.uint8)
    assert labels.max() < IGNORE_INDEX
    result, result_labels = apply(draw, image, labels, crop_size=crop, normalization=IMAGENET)
    black, white = (normalize(np.full((1, 1, 3), value, np.uint8), IMAGENET) for value in (0, 255))
    x, y, support = ((result - black) / (white - black) * 255.0).numpy()
    # Away from the border, where the mean color would bend the ramps, and from ties of the nearest pixel.
    whole = (support > 255.0 - 1e-3) & (np.abs(x - np.round(x)) < 0.498) & (np.abs(y - np.round(y)) < 0.498)
    place = np.round(y).astype(int) // cell * (width // cell) + np.round(x).astype(int) // cell
    assert (result_labels.numpy() == place)[whole].all()
    assert (result_labels.numpy() != IGNORE_INDEX)[support > 255.0 - 1e-3].all()


@pytest.mark.parametrize("size", [(1, 1), (48, 96), (37, 301), (300, 701)])
def test_the_identity_changes_nothing(size: tuple[int, int]) -> None:
    image, labels = noise(*size)
    result, result_labels = apply(Draw(), image, labels, crop_size=size, normalization=IMAGENET)
    assert torch.equal(result_labels, torch.from_numpy(labels.astype(np.int64)))
    torch.testing.assert_close(result, normalize(image, IMAGENET), rtol=0.0, atol=1e-5)


def test_a_crop_at_scale_1_is_a_slice_of_the_image() -> None:
    image, labels = noise(700, 1500)
    result, result_labels = apply(Draw(top=0.5, left=0.7), image, labels, crop_size=(201, 333), normalization=IMAGENET)
    top, left = int(0.5 * 500), int(0.7 * 1168)
    expected = normalize(image[top : top + 201, left : left + 333], IMAGENET)
    torch.testing.assert_close(result, expected, rtol=0.0, atol=1e-5)
    assert np.array_equal(result_labels.numpy(), labels[top : top + 201, left : left + 333])


def test_flipping_twice_changes_nothing() -> None:
    image, labels = noise(31, 50)
    once, once_labels = apply(Draw(flip=True), image, labels, crop_size=(31, 50), normalization=IMAGENET)
    torch.testing.assert_close(once.flip(-1), normalize(image, IMAGENET), rtol=0.0, atol=1e-5)
    twice, twice_labels = apply(Draw(flip=True), image[:, ::-1], labels[:, ::-1], crop_size=(31, 50), normalization=IMAGENET)
    torch.testing.assert_close(twice, normalize(image, IMAGENET), rtol=0.0, atol=1e-5)
    assert torch.equal(once_labels.flip(-1), twice_labels)


def test_a_positive_angle_turns_image_and_labels_counterclockwise() -> None:
    image, labels = noise(21, 21)
    result, result_labels = apply(Draw(angle=90.0), image, labels, crop_size=(21, 21), normalization=IMAGENET)
    assert np.array_equal(result_labels.numpy(), np.rot90(labels))
    torch.testing.assert_close(result, normalize(np.rot90(image), IMAGENET), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize(("scale", "size"), [(0.4, (50, 90)), (0.56, (50, 75)), (1.7, (33, 47)), (3.0, (20, 30))])
def test_pure_scaling_agrees_with_torchvision_resize(scale: float, size: tuple[int, int]) -> None:
    image, labels = noise(*size)
    scaled = [round(scale * side) for side in size]
    result, result_labels = apply(Draw(scale=scale), image, labels, crop_size=(scaled[0], scaled[1]), normalization=IMAGENET)
    change = torchvision.transforms.functional
    modes = torchvision.transforms.InterpolationMode
    expected = change.resize(normalize(image, IMAGENET), scaled, interpolation=modes.BILINEAR, antialias=False)
    border = math.ceil(scale)  # where torchvision repeats the border pixel
    inner = (..., slice(border, -border), slice(border, -border))
    torch.testing.assert_close(result[inner], expected[inner], rtol=0.0, atol=2e-4)
    # No pixel of these sizes falls midway between two of the source, where the two would round to different sides.
    expected_labels = change.resize(torch.from_numpy(labels)[None], scaled, interpolation=modes.NEAREST_EXACT)[0]
    assert torch.equal(result_labels, expected_labels.to(torch.int64))


@pytest.mark.parametrize("angle", [-10.0, -3.3, 7.0, 10.0, 45.0])
def test_pure_rotation_agrees_with_torchvision_rotate(angle: float) -> None:
    image, labels = noise(61, 92)
    result, result_labels = apply(Draw(angle=angle), image, labels, crop_size=(61, 92), normalization=IMAGENET)
    change = torchvision.transforms.functional
    modes = torchvision.transforms.InterpolationMode
    expected = change.rotate(normalize(image, IMAGENET), angle, interpolation=modes.BILINEAR, fill=0.0)
    whole = change.rotate(torch.ones(1, 61, 92), angle, interpolation=modes.BILINEAR, fill=0.0)[0] > 1.0 - 1e-6
    assert whole.float().mean() > 0.4
    torch.testing.assert_close(result[:, whole], expected[:, whole], rtol=0.0, atol=1e-3)
    expected_labels = change.rotate(torch.from_numpy(labels)[None], angle, interpolation=modes.NEAREST, fill=255)[0]
    assert (result_labels == expected_labels).double().mean() > 0.999  # float32 ties


def test_a_source_smaller_than_the_crop_is_centered_in_ignored_padding() -> None:
    image, labels = noise(10, 21)
    result, result_labels = apply(Draw(top=0.9, left=0.9), image, labels, crop_size=(15, 30), normalization=IMAGENET)
    padding = np.full((15, 30), IGNORE_INDEX)
    padding[2:12, 4:25] = labels
    assert np.array_equal(result_labels.numpy(), padding)
    torch.testing.assert_close(result[:, 2:12, 4:25], normalize(image, IMAGENET), rtol=0.0, atol=1e-5)
    outside = torch.from_numpy(padding == IGNORE_INDEX)
    assert (result[:, outside] == 0.0).all()


def test_a_source_of_one_pixel_survives_any_scale() -> None:
    image, labels = np.full((1, 1, 3), 200, np.uint8), np.full((1, 1), 7, np.uint8)
    for scale in (0.1, 1.0, 4.0):
        _, result_labels = apply(Draw(scale=scale), image, labels, crop_size=(5, 5), normalization=IMAGENET)
        side = max(1, round(scale))
        assert (result_labels == 7).sum() == side * side
        assert (result_labels == IGNORE_INDEX).sum() == 25 - side * side


def test_a_crop_beside_the_rotated_source_is_all_padding() -> None:
    image, labels = noise(40, 400)
    result, result_labels = apply(Draw(angle=30.0), image, labels, crop_size=(8, 8), normalization=IMAGENET)
    assert (result_labels == IGNORE_INDEX).all()
    assert (result == 0.0).all()


def test_every_position_inside_the_image_is_equally_likely() -> None:
    shares = np.random.default_rng(0).random(8000)
    tops = [map_crop(Draw(top=share), source_size=(10, 10), crop_size=(7, 10)) for share in shares]
    found = np.bincount([round(crop.y_rows[0]) + crop.rows.start for crop in tops])
    assert len(found) == 4
    assert found == pytest.approx(2000, abs=150)


def test_only_the_part_of_the_source_that_the_crop_needs_is_read() -> None:
    crop_map = map_crop(Draw(scale=2.0, top=0.5, left=0.5), source_size=(1024, 2048), crop_size=(100, 200))
    assert crop_map.rows.stop - crop_map.rows.start <= 50 + 4
    assert crop_map.cols.stop - crop_map.cols.start <= 100 + 4
