"""The embedded street scenes: reproducible, of any size, and with the long tail that the method is about."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datasets.streets.canvas import Box, Camera, Canvas
from pipeline.datasets.streets.scene import CLASS_NAMES, COLORS, WEATHER, draw_scene
from pipeline.samples.catalog import IGNORE_INDEX

HEAD = ("road", "sidewalk", "building", "vegetation", "sky", "car")
TAIL = tuple(name for name in CLASS_NAMES if name not in HEAD)


@pytest.fixture(scope="module")
def counts() -> NDArray[np.int64]:
    """Count the pixels of every value in 120 scenes: (scenes, 256)."""
    scenes = (draw_scene(np.random.default_rng([7, k]), height=64, width=128) for k in range(120))
    return np.stack([np.bincount(labels.ravel(), minlength=256) for _, labels in scenes])


def test_the_same_state_draws_the_same_scene() -> None:
    first, again = (draw_scene(np.random.default_rng(3), height=48, width=96) for _ in range(2))
    assert first[0].tobytes() == again[0].tobytes()
    assert first[1].tobytes() == again[1].tobytes()


def test_another_state_draws_another_scene() -> None:
    rng = np.random.default_rng(3)
    first, second = (draw_scene(rng, height=48, width=96) for _ in range(2))
    assert (first[0] != second[0]).mean() > 0.5
    assert (first[1] != second[1]).mean() > 0.1


@pytest.mark.parametrize(("height", "width"), [(32, 64), (33, 67), (64, 128), (101, 150), (64, 300), (160, 64)])
def test_a_scene_has_the_size_that_was_asked_for(height: int, width: int) -> None:
    for seed in range(3):
        image, labels = draw_scene(np.random.default_rng(seed), height=height, width=width)
        assert image.shape == (height, width, 3)
        assert labels.shape == (height, width)
        assert image.dtype == labels.dtype == np.uint8
        assert image.std() > 10
        assert labels.flags.owndata
        assert labels.flags.writeable


def test_labels_are_train_ids_or_void(counts: NDArray[np.int64]) -> None:
    valid = {*range(len(CLASS_NAMES)), IGNORE_INDEX}
    assert set(np.flatnonzero(counts.sum(axis=0)).tolist()) == valid


def test_every_class_has_one_name_and_one_color() -> None:
    assert len(set(CLASS_NAMES)) == len(CLASS_NAMES) == len(COLORS) == len(set(COLORS))


def test_classes_have_a_long_tail(counts: NDArray[np.int64]) -> None:
    labeled = counts[:, : len(CLASS_NAMES)].sum(axis=0)
    share = dict(zip(CLASS_NAMES, labeled / labeled.sum(), strict=True))
    assert min(share[name] for name in HEAD) > 0.04
    assert max(share[name] for name in TAIL) < 0.035
    assert min(share[name] for name in TAIL) > 0.003
    assert sum(share[name] < 0.01 for name in TAIL) >= 3


def test_void_is_a_few_percent(counts: NDArray[np.int64]) -> None:
    assert 0.01 < counts[:, IGNORE_INDEX].sum() / counts.sum() < 0.06


def test_rare_classes_are_in_some_scenes_and_missing_in_others(counts: NDArray[np.int64]) -> None:
    presence = dict(zip(CLASS_NAMES, (counts[:, : len(CLASS_NAMES)] > 0).mean(axis=0), strict=True))
    assert all(0.2 < presence[name] < 0.8 for name in TAIL), presence


def test_sixteen_scenes_hold_every_class(counts: NDArray[np.int64]) -> None:
    rng, present = np.random.default_rng(0), counts[:, : len(CLASS_NAMES)] > 0
    subsets = [rng.choice(len(present), 16, replace=False) for _ in range(500)]
    incomplete = [not present[subset].any(axis=0).all() for subset in subsets]
    assert np.mean(incomplete) < 0.03


def test_image_and_labels_share_every_outline() -> None:
    camera = Camera(focal=400.0, center=256.0, horizon=110.0, eye=1.6)
    light = WEATHER[0]
    canvas = Canvas.under_sky(np.random.default_rng(0), camera, light, height=64, width=128, label=8)
    before = np.asarray(canvas.image).copy()
    for _, panel in Box(x=2.0, z=9.0, length=4.0, width=1.8, height=1.5, yaw=0.4).faces():
        canvas.rectangle(panel, (255, 0, 60), 10)
    painted = (np.asarray(canvas.image) != before).any(axis=2)
    np.testing.assert_array_equal(painted, np.asarray(canvas.labels) == 10)
    assert painted.sum() > 2000
