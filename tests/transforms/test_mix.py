"""Crops with a part of another: every pixel, and its label, is of the one or of the other."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.params import StrongViewParams
from pipeline.transforms.mix import Crop, draw_classes, draw_rectangle, mix
from tests.training.cases import PARAMS

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def views(**changes: Any) -> StrongViewParams:
    return PARAMS.strong_views.model_copy(update={"mix_probability": 1.0, **changes})


def crop(size: tuple[int, int], first: int, seed: int) -> Crop:
    """Return a crop whose image tells its labels: one hundred times the label plus the place, negative for the second."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, size, generator=generator)
    labels[torch.rand(size, generator=generator) < 0.2] = 255
    places = torch.arange(labels.numel()).view(size)
    return torch.stack([labels.float(), places.float(), torch.full(size, float(first))]), labels


@settings(max_examples=60, deadline=None)
@given(size=sizes, seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["cutmix", "classmix"]))
def test_every_pixel_and_its_label_are_of_one_crop(size: tuple[int, int], seed: int, kind: str) -> None:
    ours, other = crop(size, 0, seed), crop(size, 1, seed + 1)
    kept = tuple(tensor.clone() for tensor in (*ours, *other))
    image, labels = mix(ours, lambda: other, views(mix=kind), strength=1.0, rng=np.random.default_rng(seed))
    source = image[2].bool()
    for place, (own, pasted, mixed) in enumerate([(ours[0], other[0], image), (ours[1], other[1], labels)]):
        assert torch.equal(mixed, torch.where(source, pasted, own)), place
    assert torch.equal(image[0].long(), labels)
    assert all(torch.equal(*pair) for pair in zip(kept, (*ours, *other), strict=True))
    if kind == "classmix":
        present = set(other[1].flatten().tolist()) - {255}
        chosen = set(labels[source].tolist())
        assert 255 not in chosen
        assert len(chosen) == (len(present) + 1) // 2
        # Whole classes: no pixel of a chosen one stays behind.
        assert all(bool(source[other[1] == name].all()) for name in chosen)


@settings(max_examples=100, deadline=None)
@given(size=sizes, seed=st.integers(0, 2**32 - 1), ends=st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0)))
def test_a_rectangle_is_one_and_lies_inside(size: tuple[int, int], seed: int, ends: tuple[float, float]) -> None:
    rectangle = draw_rectangle(size, min(ends), max(ends), np.random.default_rng(seed))
    rows, cols = rectangle.any(dim=1), rectangle.any(dim=0)
    assert rectangle.shape == size
    assert int(rectangle.sum()) == int(rows.sum() * cols.sum()) > 0
    for inside in (rows, cols):
        places = inside.nonzero()[:, 0]
        assert int(places[-1] - places[0]) + 1 == len(places)


def test_areas_are_uniform_between_their_ends_and_every_place_is_reached() -> None:
    rng = np.random.default_rng(0)
    drawn = torch.stack([draw_rectangle((90, 120), 0.02, 0.4, rng) for _ in range(1500)])
    areas = drawn.flatten(1).float().mean(dim=1)
    assert 0.018 < float(areas.min()) < 0.03
    assert 0.38 < float(areas.max()) < 0.41
    assert float(areas.mean()) == pytest.approx(0.21, abs=0.01)
    small = torch.stack([draw_rectangle((6, 8), 0.02, 0.4, rng) for _ in range(1500)])
    assert (small.float().mean(dim=0) > 0).all()


def test_half_of_the_classes_are_drawn_each_as_often_as_any() -> None:
    labels = torch.tensor([[0, 1, 2, 255], [4, 4, 4, 4]])
    rng = np.random.default_rng(0)
    drawn = [tuple(sorted(draw_classes(labels, rng).tolist())) for _ in range(600)]
    assert {len(each) for each in drawn} == {2}
    counts = np.bincount(np.concatenate(drawn), minlength=5)
    assert counts[3] == 0
    assert (abs(counts[[0, 1, 2, 4]] - 300) < 60).all()


def test_of_ignored_pixels_alone_no_class_is_pasted() -> None:
    ours, other = crop((5, 6), 0, 1), crop((5, 6), 1, 2)
    other[1][:] = 255
    image, labels = mix(ours, lambda: other, views(mix="classmix"), strength=1.0, rng=np.random.default_rng(0))
    assert torch.equal(image, ours[0])
    assert torch.equal(labels, ours[1])


@pytest.mark.parametrize(
    ("probability", "strength", "share"), [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.6, 0.5, 0.3), (1.0, 1.0, 1.0)]
)
def test_the_other_crop_is_cut_as_often_as_it_is_needed(probability: float, strength: float, share: float) -> None:
    ours, calls = crop((4, 4), 0, 0), 0

    def other() -> Crop:
        nonlocal calls
        calls += 1
        return crop((4, 4), 1, 1)

    rng = np.random.default_rng(0)
    for _ in range(1000):
        mix(ours, other, views(mix_probability=probability), strength=strength, rng=rng)
    assert calls / 1000 == pytest.approx(share, abs=0.05)
