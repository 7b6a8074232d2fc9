import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from pipeline.models.network import SegmentationOutput
from pipeline.params import PretrainParams
from pipeline.training.losses import focal_loss, keep_hard, segmentation_loss
from pipeline.training.schedules import count_steps, poly_factor

cross_entropy = partial(focal_loss, gamma=0.0)


def reference(logits: torch.Tensor, labels: torch.Tensor) -> float:
    losses: list[float] = []
    for image in range(labels.shape[0]):
        for row in range(labels.shape[1]):
            for column in range(labels.shape[2]):
                label = int(labels[image, row, column])
                if label != 255:
                    scores = logits[image, :, row, column].tolist()
                    losses.append(math.log(sum(math.exp(score) for score in scores)) - scores[label])
    return sum(losses) / len(losses)


def test_the_loss_is_the_mean_over_labeled_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (2, 4, 5), generator=generator)
    labels[0, :2] = 255
    assert cross_entropy(logits, labels).item() == pytest.approx(reference(logits, labels), rel=1e-12)


def test_a_batch_without_a_labeled_pixel_gives_zero_and_no_nan() -> None:
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    loss = cross_entropy(logits, torch.full((2, 4, 5), 255))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


@given(st.floats(0.25, 5.0), st.integers(0, 2**16))
def test_the_focal_loss_weighs_every_pixel_by_what_is_missing_to_certainty(gamma: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 3, 3, 2, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (2, 3, 2), generator=generator)
    labels[labels == 3] = 255
    probs = logits.softmax(dim=1)
    losses = []
    for image, row, column in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(2)).tolist():
        if (label := int(labels[image, row, column])) != 255:
            p = float(probs[image, label, row, column])
            losses.append(-((1 - p) ** gamma) * math.log(p))
    expected = sum(losses) / max(len(losses), 1)
    assert focal_loss(logits, labels, gamma=gamma).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_focal_loss_with_gamma_zero_is_the_cross_entropy_to_the_bit() -> None:
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    expected = functional.cross_entropy(logits, labels, reduction="sum") / labels.numel()
    assert torch.equal(focal_loss(logits, labels, gamma=0.0), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_focal_loss_has_finite_gradients_where_pixels_are_certain_or_ignored(gamma: float) -> None:
    logits = torch.zeros(1, 2, 1, 3, requires_grad=True)
    with torch.no_grad():
        logits[0, 0, 0, 0] = 200.0
    loss = focal_loss(logits, torch.tensor([[[0, 255, 1]]]), gamma=gamma)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[..., 1] == 0).all()


def test_the_auxiliary_head_adds_its_weighted_loss() -> None:
    main, auxiliary = torch.randn(1, 3, 4, 5), torch.randn(1, 3, 4, 5)
    labels = torch.randint(0, 3, (1, 4, 5))
    both = segmentation_loss(SegmentationOutput(main, auxiliary), labels, auxiliary_weight=0.4)
    expected = cross_entropy(main, labels) + 0.4 * cross_entropy(auxiliary, labels)
    assert both.item() == pytest.approx(expected.item())
    alone = segmentation_loss(SegmentationOutput(main, None), labels, auxiliary_weight=0.4)
    assert alone.item() == pytest.approx(cross_entropy(main, labels).item())


def test_the_poly_schedule_falls_from_one_to_nearly_zero() -> None:
    factors = [poly_factor(step, 10, power=0.9) for step in range(10)]
    assert factors[0] == 1.0
    assert factors == sorted(factors, reverse=True)
    assert factors[5] == pytest.approx(0.5**0.9)


def test_the_stretched_schedule_begins_where_the_release_does() -> None:
    assert poly_factor(0, 10, power=0.9, rounds_before=1) == pytest.approx(0.536, abs=5e-4)
    assert poly_factor(0, 10, power=0.9, rounds_before=2) == pytest.approx(0.372, abs=5e-4)


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 50))
def test_steps_cover_every_epoch_and_no_batch_more(epochs: int, batch_size: int, images: int) -> None:
    steps = count_steps(PretrainParams(epochs=epochs, steps=None, batch_size=batch_size), images=images, batch_size=batch_size)
    assert (steps - 1) * batch_size < epochs * images <= steps * batch_size


def test_a_fixed_number_of_steps_is_taken_whatever_the_number_of_images() -> None:
    assert count_steps(PretrainParams(epochs=None, steps=7, batch_size=2), images=1000, batch_size=2) == 7


def slow_hard(logits: torch.Tensor, labels: torch.Tensor, threshold: float, min_share: float) -> torch.Tensor:
    """Keep by sorting each crop's pixels by the probability of their label."""
    kept = torch.full_like(labels, 255)
    for index in range(len(labels)):
        probs = logits[index].softmax(dim=0)
        places = [tuple(place) for place in (labels[index] != 255).nonzero().tolist()]
        of_label = {place: float(probs[(int(labels[index][place]), *place)]) for place in places}
        hardest = sorted(of_label.values())[: math.ceil(min_share * len(places))]
        for place, p in of_label.items():
            if p < threshold or p <= hardest[-1]:
                kept[index][place] = labels[index][place]
    return kept


@settings(deadline=None)
@given(st.floats(0.05, 0.99), st.floats(0.01, 1.0), st.integers(0, 2**16))
def test_hard_pixels_are_those_of_a_slow_search_in_each_crop(threshold: float, min_share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(3, 3, 4, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (3, 4, 5), generator=generator)
    labels[labels == 3] = 255
    labels[2] = 255
    kept = keep_hard(logits, labels, threshold=threshold, min_share=min_share)
    assert torch.equal(kept, slow_hard(logits, labels, threshold, min_share))


def test_all_pixels_are_hard_where_all_are_to_be_kept() -> None:
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    assert torch.equal(keep_hard(logits, labels, threshold=0.5, min_share=1.0), labels)
