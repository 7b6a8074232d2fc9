import math

import numpy as np
import pytest
import torch

from pipeline.models.normalization import IMAGENET, normalize
from pipeline.runtime import import_torchvision
from pipeline.transforms.color import blur, blur_strongly, distort
from pipeline.transforms.draws import Distortion

torchvision = import_torchvision()


def noise(height: int = 20, width: int = 30) -> np.typing.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_normalize_equals_torchvision() -> None:
    change = torchvision.transforms.functional
    values = torch.from_numpy(noise()).permute(2, 0, 1).float() / 255.0
    expected = change.normalize(values, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(normalize(noise(), IMAGENET), expected, rtol=0.0, atol=1e-6)


def test_normalize_takes_read_only_images() -> None:
    image = noise()
    image.setflags(write=False)
    assert normalize(image, IMAGENET).shape == (3, 20, 30)


@pytest.mark.parametrize("size", [(48, 96), (3, 3), (5, 101)])
def test_blur_equals_torchvision(size: tuple[int, int]) -> None:
    image = normalize(noise(*size), IMAGENET)
    expected = torchvision.transforms.functional.gaussian_blur(image, [5, 5], [1.1, 1.1])
    torch.testing.assert_close(blur(image), expected, rtol=0.0, atol=1e-5)


def test_a_neutral_distortion_returns_the_image_itself() -> None:
    image = noise()
    assert distort(image, Distortion(contrast_first=False)) is image


@pytest.mark.parametrize(("part", "factor"), [("brightness", 1.1), ("contrast", 0.6), ("saturation", 1.4), ("hue", -0.04)])
def test_each_part_alone_equals_torchvision_to_one_gray_level(part: str, factor: float) -> None:
    factors: dict[str, float] = {part: factor}
    image = noise()
    change = getattr(torchvision.transforms.functional, f"adjust_{part}")
    expected = change(torch.from_numpy(image).permute(2, 0, 1), factor).permute(1, 2, 0).numpy()
    result = distort(image, Distortion(**factors))  # type: ignore[arg-type]
    assert np.abs(result.astype(int) - expected.astype(int)).max() <= 1
    assert not np.array_equal(result, image)


def test_contrast_first_and_last_differ() -> None:
    first = distort(noise(), Distortion(contrast=1.5, saturation=1.5, contrast_first=True))
    last = distort(noise(), Distortion(contrast=1.5, saturation=1.5, contrast_first=False))
    assert not np.array_equal(first, last)


@pytest.mark.parametrize("size", [(20, 30), (7, 40), (1, 9), (2, 2)])
@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0, 9.0])
def test_a_strong_blur_equals_torchvision(size: tuple[int, int], sigma: float) -> None:
    image = torch.randn(3, *size, generator=torch.Generator().manual_seed(0))
    radius = min(math.ceil(3.0 * sigma), min(size) - 1)
    expected = torchvision.transforms.functional.gaussian_blur(image, [2 * radius + 1] * 2, [sigma, sigma]) if radius else image
    torch.testing.assert_close(blur_strongly(image, sigma), expected, rtol=0.0, atol=1e-5)


def test_no_strong_blur_returns_the_image_itself() -> None:
    image = torch.randn(3, 4, 5)
    assert blur_strongly(image, 0.0) is image
