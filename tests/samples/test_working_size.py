import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.samples.working_size import resize_image, resize_labels, working_size


@pytest.mark.parametrize(
    ("size", "long_side", "scale", "expected"),
    [
        ((512, 683), 320, 1.0, (240, 320)),
        ((683, 512), 320, 1.0, (320, 240)),
        ((100, 50), None, 1.0, (100, 50)),
        ((100, 50), None, 0.5, (50, 25)),
        ((1, 1000), 10, 1.0, (1, 10)),
        ((60, 80), 160, 0.5, (60, 80)),
    ],
)
def test_the_longer_side_gets_its_pixels(
    size: tuple[int, int], long_side: int | None, scale: float, expected: tuple[int, int]
) -> None:
    assert working_size(size, long_side, scale=scale) == expected


def test_images_are_resized_as_torch_does_with_antialiasing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    for size in ((20, 30), (45, 61), (120, 180)):
        theirs = functional.interpolate(planes, size=size, mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
        assert np.abs(resize_image(image, size) - theirs).max() <= 1.0
    assert resize_image(image, (60, 90)) is image


def test_labels_are_those_of_the_nearest_pixel_center() -> None:
    labels = np.random.default_rng(0).integers(0, 256, (60, 90), dtype=np.uint8)
    for size in ((20, 30), (120, 180), (8, 12)):
        rows, cols = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, labels.shape, strict=True))
        np.testing.assert_array_equal(resize_labels(labels, size), labels[rows[:, None], cols])
    assert resize_labels(labels, (60, 90)) is labels
