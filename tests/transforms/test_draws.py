from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.params import AugmentationParams
from pipeline.transforms.draws import Distortion, Draw, draw_augmentation, draw_strong_view, scale_range
from tests.training.cases import PARAMS

PROBABILITIES = ("rotation_probability", "blur_probability", "flip_probability", "photometric_probability")


def params(**changes: Any) -> AugmentationParams:
    values: dict[str, Any] = {
        "long_side": None,
        "crop_height": 6,
        "crop_width": 7,
        "scale_min": 0.5,
        "scale_max": 2.0,
        "rotation": 10.0,
        "rotation_probability": 0.5,
        "blur_probability": 0.5,
        "flip_probability": 0.5,
        "photometric_probability": 0.5,
    }
    return AugmentationParams(**{**values, **changes})


def draws(section: AugmentationParams, count: int = 300) -> list[Draw]:
    rng = np.random.default_rng(0)
    return [draw_augmentation(section, scales=(0.5, 2.0), rng=rng) for _ in range(count)]


def test_betas_of_zero_keep_the_scale_range() -> None:
    assert scale_range(params(), beta_min=0.0, beta_max=0.0) == (0.5, 2.0)


def test_the_ablation_setting_of_round_2_gives_its_scale_range() -> None:
    section = params(scale_min=0.25, scale_max=1.0)
    assert scale_range(section, beta_min=0.2, beta_max=0.5) == pytest.approx((0.2, 1.5))


def test_scales_and_angles_fill_their_ranges() -> None:
    sample = draws(params(rotation_probability=1.0), 2000)
    for values, low, high in (([d.scale for d in sample], 0.5, 2.0), ([d.angle for d in sample], -10.0, 10.0)):
        assert low <= min(values) < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < max(values) < high
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.03 * (high - low))


def test_probability_0_switches_every_part_off() -> None:
    for draw in draws(params(**dict.fromkeys(PROBABILITIES, 0.0))):
        neutral = Distortion(contrast_first=draw.distortion.contrast_first)
        assert (draw.angle, draw.flip, draw.blur, draw.distortion) == (0.0, False, False, neutral)


def test_probability_1_switches_every_part_on() -> None:
    for draw in draws(params(**dict.fromkeys(PROBABILITIES, 1.0))):
        assert draw.angle != 0.0
        assert draw.flip
        assert draw.blur
        factors = draw.distortion
        assert 1.0 not in (factors.brightness, factors.contrast, factors.saturation)
        assert factors.hue != 0.0


def test_a_probability_is_the_share_of_draws() -> None:
    sample = draws(params(**dict.fromkeys(PROBABILITIES, 0.3)), 4000)
    shares = [
        np.mean([draw.angle != 0.0 for draw in sample]),
        np.mean([draw.flip for draw in sample]),
        np.mean([draw.blur for draw in sample]),
        np.mean([draw.distortion.brightness != 1.0 for draw in sample]),
        np.mean([draw.distortion.hue != 0.0 for draw in sample]),
    ]
    assert shares == pytest.approx([0.3] * 5, abs=0.03)


@given(
    first=st.fixed_dictionaries(dict.fromkeys(PROBABILITIES, st.floats(0.0, 1.0))),
    second=st.fixed_dictionaries(dict.fromkeys(PROBABILITIES, st.floats(0.0, 1.0))),
)
def test_one_part_of_a_draw_does_not_depend_on_the_probability_of_another(
    first: dict[str, float], second: dict[str, float]
) -> None:
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    draw_one = draw_augmentation(params(**first), scales=(0.5, 2.0), rng=one)
    draw_other = draw_augmentation(params(**second), scales=(0.5, 2.0), rng=other)
    assert (draw_one.scale, draw_one.top, draw_one.left) == (draw_other.scale, draw_other.top, draw_other.left)
    if draw_one.angle and draw_other.angle:
        assert draw_one.angle == draw_other.angle
    assert one.bit_generator.state == other.bit_generator.state


STRENGTHS = {
    "color_probability": 1.0, "brightness": 0.5, "contrast": 0.4, "saturation": 0.3, "hue": 0.2,
    "grayscale_probability": 0.0, "blur_probability": 1.0, "blur_sigma_min": 0.1, "blur_sigma_max": 2.0,
}  # fmt: skip


def strong(strength: float = 1.0, count: int = 2000, **changes: Any) -> list[Draw]:
    section, rng = PARAMS.strong_views.model_copy(update={**STRENGTHS, **changes}), np.random.default_rng(0)
    return [draw_strong_view(Draw(scale=1.5, flip=True), section, strength=strength, rng=rng) for _ in range(count)]


def test_strong_views_fill_the_ranges_of_their_section_and_move_nothing() -> None:
    sample = strong()
    for name, low, high in [
        ("brightness", 0.5, 1.5),
        ("contrast", 0.6, 1.4),
        ("saturation", 0.7, 1.3),
        ("hue", -0.2, 0.2),
    ]:
        values = [getattr(draw.strong_distortion, name) for draw in sample]
        assert low <= min(values) < low + 0.01
        assert high - 0.01 < max(values) <= high
    sigmas = [draw.strong_sigma for draw in sample]
    assert 0.1 <= min(sigmas) < 0.12
    assert 1.98 < max(sigmas) <= 2.0
    assert {replace(draw, strong_distortion=Distortion(), strong_sigma=0.0) for draw in sample} == {Draw(scale=1.5, flip=True)}


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_strength_of_a_round_is_a_factor_on_every_probability(strength: float) -> None:
    sample = strong(strength, color_probability=0.8, grayscale_probability=0.2, blur_probability=0.5)
    shares = [
        np.mean([draw.strong_distortion.hue != 0 for draw in sample]),
        np.mean([draw.strong_distortion.saturation == 0 for draw in sample]),
        np.mean([draw.strong_sigma > 0 for draw in sample]),
    ]
    assert shares == pytest.approx([0.8 * strength, 0.2 * strength, 0.5 * strength], abs=0.04)


def test_one_part_of_a_strong_view_does_not_depend_on_the_probability_of_another() -> None:
    sigmas = [draw.strong_sigma for draw in strong(count=50)]
    assert sigmas == [draw.strong_sigma for draw in strong(count=50, color_probability=0.0, grayscale_probability=1.0)]
