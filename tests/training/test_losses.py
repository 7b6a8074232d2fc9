import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.models.pspnet import SegmentationOutput
from pipeline.params import PretrainParams
from pipeline.training.losses import cross_entropy, segmentation_loss
from pipeline.training.schedules import count_steps, poly_factor


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
