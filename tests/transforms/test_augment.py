from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.models.normalization import IMAGENET, normalize
from pipeline.params import AugmentationParams
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.transforms.augment import augment
from pipeline.transforms.color import blur
from tests.transforms.test_draws import PROBABILITIES, params

Image = NDArray[np.uint8]
OFF: dict[str, Any] = dict.fromkeys(PROBABILITIES, 0.0)


def noise(height: int = 40, width: int = 60) -> tuple[Image, Image]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    return image, rng.integers(0, 20, (height, width), np.uint8)


def run(
    section: AugmentationParams, scales: tuple[float, float] = (0.5, 2.0), seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    return augment(*noise(), section, scales=scales, normalization=IMAGENET, rng=np.random.default_rng(seed))


def test_with_everything_off_a_crop_of_the_image_size_is_the_image() -> None:
    crop, labels = run(params(**OFF, crop_height=40, crop_width=60), scales=(1.0, 1.0))
    image, expected = noise()
    torch.testing.assert_close(crop, normalize(image, IMAGENET), rtol=0.0, atol=1e-5)
    assert np.array_equal(labels.numpy(), expected)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), height=st.integers(3, 50), width=st.integers(3, 50))
def test_the_same_generator_gives_the_same_bytes_whatever_torch_draws(seed: int, height: int, width: int) -> None:
    section = params(crop_height=height, crop_width=width)
    before = torch.get_rng_state()
    crop, labels = run(section, seed=seed)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        again, labels_again = run(section, seed=seed)
    assert (crop.dtype, crop.shape, labels.dtype) == (torch.float32, (3, height, width), torch.int64)
    assert crop.numpy().tobytes() == again.numpy().tobytes()
    assert labels.numpy().tobytes() == labels_again.numpy().tobytes()


def test_another_generator_gives_another_crop() -> None:
    assert not torch.equal(run(params(), seed=1)[0], run(params(), seed=2)[0])


def test_inputs_are_left_as_they_were_and_may_be_read_only() -> None:
    image, labels = noise()
    for array in (image, labels):
        array.setflags(write=False)
    section = params(**dict.fromkeys(PROBABILITIES, 1.0))
    augment(image, labels, section, scales=(0.5, 2.0), normalization=IMAGENET, rng=np.random.default_rng(0))


def test_flip_probability_1_mirrors_the_crop() -> None:
    size = {"crop_height": 40, "crop_width": 60}
    plain, labels = run(params(**OFF, **size), scales=(1.0, 1.0))
    mirrored, mirrored_labels = run(params(**{**OFF, "flip_probability": 1.0}, **size), scales=(1.0, 1.0))
    torch.testing.assert_close(mirrored, plain.flip(-1), rtol=0.0, atol=1e-5)
    assert torch.equal(mirrored_labels, labels.flip(-1))


def test_blur_probability_1_blurs_the_crop_and_leaves_the_labels() -> None:
    sharp, labels = run(params(**OFF))
    blurred, blurred_labels = run(params(**{**OFF, "blur_probability": 1.0}))
    assert torch.equal(blurred, blur(sharp))
    assert torch.equal(blurred_labels, labels)


def test_rotation_probability_1_turns_image_and_labels() -> None:
    plain, labels = run(params(**OFF))
    turned, turned_labels = run(params(**{**OFF, "rotation_probability": 1.0}))
    assert not torch.equal(turned, plain)
    assert not torch.equal(turned_labels, labels)


def test_photometric_probability_1_changes_colors_and_neither_labels_nor_padding() -> None:
    size = {"crop_height": 90, "crop_width": 90}
    plain, labels = run(params(**OFF, **size))
    distorted, distorted_labels = run(params(**{**OFF, "photometric_probability": 1.0}, **size))
    assert torch.equal(distorted_labels, labels)
    beyond = (plain == 0.0).all(dim=0)
    assert 0.1 < beyond.float().mean() < 0.9
    assert (labels[beyond] == IGNORE_INDEX).all()
    assert (distorted[:, beyond] == 0.0).all()
    assert (distorted != plain).any(dim=0)[~beyond].all()


def test_ignored_pixels_stay_ignored() -> None:
    image, _ = noise()
    labels = np.full((40, 60), IGNORE_INDEX, np.uint8)
    _, result = augment(image, labels, params(), scales=(0.5, 2.0), normalization=IMAGENET, rng=np.random.default_rng(0))
    assert (result == IGNORE_INDEX).all()


@pytest.mark.parametrize(
    ("image", "labels", "message"),
    [
        (np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8), "same size"),
        (np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8), "8-bit RGB"),
        (np.zeros((4, 5, 3), np.float32), np.zeros((4, 5), np.uint8), "float32"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.int64), "int64"),
        (np.zeros((0, 5, 3), np.uint8), np.zeros((0, 5), np.uint8), "empty"),
    ],
)
def test_images_and_labels_that_do_not_belong_together_are_refused(image: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        augment(image, labels, params(), scales=(0.5, 2.0), normalization=IMAGENET, rng=np.random.default_rng(0))


def test_a_crop_too_small_to_blur_is_refused() -> None:
    with pytest.raises(ValueError, match="3 x 3"):
        run(params(crop_height=2))
