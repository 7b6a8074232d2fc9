"""A trained network as a function of images: what the command `predict` writes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import dars
from stages.predict import main
from tests.export.cases import CLASS_NAMES, COLORS, noise_images, write_checkpoint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "student.safetensors"
    write_checkpoint(path)
    return path


def test_arrays_and_files_are_predicted_as_the_command_does(model: Path, tmp_path: Path) -> None:
    [image] = noise_images(1, 30, 44)
    Image.fromarray(image).save(tmp_path / "photo.png")
    loaded = dars.load(model, device="cpu")
    assert (loaded.class_names, loaded.colors) == (CLASS_NAMES, COLORS)
    assert loaded.protocol == "own size, whole image, scale 1, with flip"
    labels, confidence = dars.predict(loaded, image)
    again = dars.predict(dars.load(str(model)), str(tmp_path / "photo.png"))
    assert np.array_equal(labels, again[0])
    assert labels.shape == confidence.shape == (30, 44)
    assert labels.dtype == np.uint8
    assert confidence.dtype == np.float32
    probs = dars.probabilities(loaded, image)
    assert probs.shape == (len(CLASS_NAMES), 30, 44)
    assert np.array_equal(probs.argmax(axis=0), labels)
    assert np.array_equal(probs.max(axis=0), confidence)
    words = ["--model", str(model), "--images", str(tmp_path / "photo.png"), "--out", str(tmp_path / "out"), "--confidence"]
    assert CliRunner().invoke(main, words).exit_code == 0
    for folder, expected in (("labels", labels), ("confidence", np.rint(255 * confidence))):
        with Image.open(tmp_path / "out" / folder / "photo.png") as picture:
            assert np.array_equal(np.asarray(picture), expected)


def test_probabilities_are_what_thresholds_take(model: Path) -> None:
    loaded = dars.load(model)
    maps = [dars.probabilities(loaded, image) for image in noise_images(3, 20, 30)]
    solved = dars.thresholds(maps, [1] * 5, alpha=0.2, class_names=loaded.class_names)
    labeled = sum(int((labels != 255).sum()) for labels in dars.labels(maps, solved))
    assert labeled == sum(solved.realized_counts) > 0


def test_the_program_keeps_its_threads_and_its_seed(model: Path) -> None:
    before = torch.get_num_threads(), torch.get_rng_state().tolist(), torch.are_deterministic_algorithms_enabled()
    dars.predict(dars.load(model), noise_images(1, 20, 20)[0])
    assert (torch.get_num_threads(), torch.get_rng_state().tolist(), torch.are_deterministic_algorithms_enabled()) == before


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((3, 20, 20), np.uint8), "image - expected (H, W, 3) uint8, RGB - found (3, 20, 20) uint8 - "),
        (np.zeros((20, 20, 3)), "image - expected (H, W, 3) uint8, RGB - found (20, 20, 3) float64 - "),
        (np.zeros((0, 20, 3), np.uint8), "image - expected (H, W, 3) uint8"),
        ("missing.png", "missing.png - expected an image file"),
    ],
)
def test_what_is_no_image_is_one_line(model: Path, image: Any, says: str) -> None:
    for function in (dars.predict, dars.probabilities):
        with pytest.raises(ValueError, match=r" - expected ") as error:
            function(dars.load(model), image)
        assert str(error.value).startswith(says)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "cpu:x"])
def test_a_device_that_is_not_there_is_one_line(model: Path, device: str) -> None:
    with pytest.raises(ValueError, match=f"^device - expected auto, cpu or a GPU that torch finds - found {device} - choose"):
        dars.load(model, device=device)


def test_what_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing - expected a checkpoint - found "):
        dars.load(tmp_path / "missing")


def test_the_package_names_what_it_has_and_nothing_else() -> None:
    assert dir(dars) == dars.__all__
    assert all(getattr(dars, name).__doc__ for name in dars.__all__)
    with pytest.raises(AttributeError, match="module 'dars' has no attribute 'predicts'"):
        dars.predicts  # noqa: B018
