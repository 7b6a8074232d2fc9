"""Networks go through training and inference; those of the paper's settings at their crop sizes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.experiments.overrides import merge
from pipeline.experiments.settings import read_setting
from pipeline.inference.predictor import Predictor
from pipeline.models.build import build_network
from pipeline.params import Params, read_params
from pipeline.schema import read_yaml
from tests.models.sections import SMALL_NETWORKS, noise
from tests.training.cases import finish, start
from tests.workspace import ROOT


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_every_network_trains_and_predicts(name: str, tmp_path: Path) -> None:
    params = read_params(ROOT / "params.yaml").model_copy(update={"model": SMALL_NETWORKS[name]})
    train_and_predict(params, side=49, folder=tmp_path)


@pytest.mark.parametrize("name", ["cityscapes-1-8-361", "cityscapes-1-8-713", "cityscapes-1-8-deeplabv2"])
def test_the_network_of_a_setting_trains_and_predicts(name: str, tmp_path: Path) -> None:
    params = Params.model_validate(merge(read_yaml(ROOT / "params.yaml"), read_setting(ROOT / "data/settings", name).params))
    assert params.inference.sliding_window
    assert params.inference.window_height == params.inference.window_width == params.augmentation.crop_height
    train_and_predict(params, side=min(params.augmentation.crop_height, 361), folder=tmp_path)


def train_and_predict(params: Params, *, side: int, folder: Path) -> None:
    """Take one training step on one crop, then predict an image of two windows; side is theirs."""
    cpu = torch.device("cpu")
    torch.manual_seed(0)
    network = build_network(params.model.model_copy(update={"weights": "none"}), 19)
    labels = torch.randint(0, 19, (1, side, side), generator=torch.Generator().manual_seed(0))
    batch = [(noise(1, 3, side, side), labels)]
    training = start(network, folder, steps=1, params=params.training)
    rows = finish(training, iter([batch]))
    assert [row.step for row in rows] == [1]
    assert math.isfinite(rows[0].loss_labeled)
    for key, parameter in network.named_parameters():
        if not parameter.requires_grad:  # batch normalization of deeplabv2, as its own test says
            assert params.model.network == "deeplabv2"
            continue
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    window = {"sliding_window": True, "window_height": side, "window_width": side, "batch_size": 1}
    # At the image's own size and without a flip: they would multiply the time and show nothing new.
    protocol = params.inference.model_copy(update={**window, "long_side": None, "flip": False})
    image = np.random.default_rng(0).integers(0, 256, (side, side + 20, 3), dtype=np.uint8)
    probs = Predictor(network, protocol, cpu).probabilities(image)
    assert probs.shape == (19, side, side + 20)
    np.testing.assert_allclose(probs.sum(axis=0), 1, rtol=1e-5)
