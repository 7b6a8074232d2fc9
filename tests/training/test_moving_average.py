"""The moving average of weights: held to the recursion that it is, in float64."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.models.build import build_network
from pipeline.models.network import SegmentationNetwork
from pipeline.training.moving_average import MovingAverage
from tests.models.sections import model_params
from tests.training.cases import finish, start
from tests.training.test_optimizers import batches


def network(seed: int) -> SegmentationNetwork:
    torch.manual_seed(seed)
    return build_network(model_params(head_width=8), 3)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_it_is_the_recursion_of_its_definition(decay: float) -> None:
    states = [network(seed).state_dict() for seed in range(6)]
    followed = network(99)
    average = MovingAverage(followed, decay)
    slow: dict[str, Tensor] = {}
    for step, state in enumerate(states):
        followed.load_state_dict(state)
        average.update()
        keep = min(decay, 1.0 - 1.0 / (step + 1))
        for name, tensor in state.items():
            slow[name] = tensor.double() if step == 0 else keep * slow[name] + (1.0 - keep) * tensor.double()
    for name, tensor in average.network.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), slow[name], rtol=1e-5, atol=1e-6)


def test_a_long_average_of_few_steps_is_their_mean() -> None:
    followed = network(0)
    average = MovingAverage(followed, 0.9999)
    weights = []
    for seed in range(4):
        followed.load_state_dict(network(seed).state_dict())
        average.update()
        weights.append(next(followed.parameters()).detach().clone())
    torch.testing.assert_close(next(average.network.parameters()), torch.stack(weights).mean(dim=0))


def test_without_decay_it_is_the_network_itself() -> None:
    followed = network(0)
    average = MovingAverage(followed, 0.0)
    average.update()
    average.resume(3)
    assert average.network is followed
    assert average.networks() == {"network": followed}


def test_the_network_that_is_followed_trains_as_without(tmp_path: Path) -> None:
    alone, followed = network(0), network(0)
    finish(start(alone, tmp_path / "alone", steps=5), batches(0, 5))
    training = start(followed, tmp_path / "followed", steps=5, ema_decay=0.9)
    finish(training, batches(0, 5))
    assert all(torch.equal(tensor, alone.state_dict()[name]) for name, tensor in followed.state_dict().items())
    assert any(not torch.equal(tensor, alone.state_dict()[name]) for name, tensor in training.result.state_dict().items())
