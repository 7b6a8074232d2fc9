"""Two processes train as one: the same losses and weights, up to rounding."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline.curve import CurveRow
from pipeline.machine.device_group import DeviceGroup
from pipeline.models.build import build_network
from pipeline.models.network import SegmentationNetwork
from pipeline.params import ModelParams, TrainingParams
from pipeline.training.batches import Batch
from pipeline.training.data_parallel import _SharedDropout
from tests.models.sections import model_params
from tests.processes import run_in_world
from tests.training.cases import PARAMS, finish, start

TRAINING: TrainingParams = PARAMS.training.model_copy(update={"log_every": 1, "focal_gamma": 1.0})
MODELS: dict[str, ModelParams] = {
    "tiny": PARAMS.model.model_copy(update={"head_width": 8, "dropout": 0.3}),
    # Its normalization activates as well.
    "timm": model_params(backbone="resnet10t", network="linear", output_stride=16, dropout=0.3, auxiliary=False),
    "lite0": model_params(backbone="tf_efficientnet_lite0", network="linear", output_stride=16, dropout=0.3, auxiliary=False),
}
STEPS = 4
SIZES = (4, 2)
"""Crops of each part of a batch."""


def batches(group: DeviceGroup, dtype: torch.dtype) -> Iterator[Batch]:
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        batch = []
        for size in SIZES:
            images = torch.randn(size, 3, 32, 48, generator=generator, dtype=torch.float64).to(dtype)
            labels = torch.randint(0, 3, (size, 32, 48), generator=generator)
            # Processes have very different numbers of labeled pixels, and in one step the second has none at all.
            labels[size // 2 :, 4 * step :] = 255
            if step == 0:
                labels[size // 2 :] = 255
            own = group.even_part(size)
            batch.append((images[own.start : own.stop], labels[own.start : own.stop]))
        yield batch


def training(
    group: DeviceGroup, folder: Path, dtype: torch.dtype, precision: str = "float32", model: str = "tiny"
) -> tuple[SegmentationNetwork, list[CurveRow]]:
    torch.manual_seed(0)
    network = build_network(MODELS[model], 3).to(dtype)
    # Deep networks from scratch multiply rounding from step to step, at a high rate the more.
    rate = TRAINING.learning_rate if model == "tiny" else 0.001
    params = TRAINING.model_copy(update={"precision": precision, "learning_rate": rate})
    return network, finish(start(network, folder, steps=STEPS, params=params, group=group), batches(group, dtype))


def train_and_save(group: DeviceGroup, folder: Path, dtype: torch.dtype, precision: str, model: str) -> None:
    network, curve = training(group, folder, dtype, precision, model)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    losses = torch.tensor([[row.loss_labeled, row.loss_unlabeled] for row in curve], dtype=torch.float64)
    save_file({**tensors, "losses": losses}, folder / f"rank{group.rank}.safetensors")


@pytest.mark.parametrize(
    ("model", "dtype", "tolerance"),
    [
        ("tiny", torch.float64, 1e-9),
        ("tiny", torch.float32, 2e-4),
        ("timm", torch.float64, 1e-9),
        ("lite0", torch.float64, 1e-9),
    ],
    ids=["tiny-float64", "tiny-float32", "timm", "lite0"],
)
def test_two_processes_have_the_losses_and_weights_of_one(
    tmp_path: Path, model: str, dtype: torch.dtype, tolerance: float
) -> None:
    (tmp_path / "one").mkdir()
    network, curve = training(DeviceGroup(0, 1, torch.device("cpu")), tmp_path / "one", dtype, model=model)
    run_in_world(2, train_and_save, tmp_path, dtype, "float32", model)
    ranks = [load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2)]
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in ranks[0])
    expected = torch.tensor([[row.loss_labeled, row.loss_unlabeled] for row in curve], dtype=torch.float64)
    # The curve is kept in float32, whatever the network computes in.
    torch.testing.assert_close(ranks[0].pop("losses"), expected, rtol=0, atol=max(tolerance, 1e-6))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(ranks[0].pop(name), tensor, rtol=tolerance, atol=tolerance)
    assert not ranks[0]


def test_two_processes_train_as_one_under_autocast_up_to_its_rounding(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    _, curve = training(DeviceGroup(0, 1, torch.device("cpu")), tmp_path / "one", torch.float32, "bfloat16")
    run_in_world(2, train_and_save, tmp_path, torch.float32, "bfloat16", "tiny")
    losses = load_file(tmp_path / "rank0.safetensors")["losses"].tolist()
    for (labeled, unlabeled), row in zip(losses, curve, strict=True):
        assert (labeled, unlabeled) == pytest.approx((row.loss_labeled, row.loss_unlabeled), abs=0.05)


@pytest.mark.parametrize("layer", [nn.Dropout(0.4), nn.Dropout2d(0.4)], ids=["elements", "channels"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["channels first", "channels last"])
def test_the_draws_of_dropout_are_shared(layer: nn.Module, layout: torch.memory_format) -> None:
    features = torch.randn(4, 6, 5, 7).contiguous(memory_format=layout)
    torch.manual_seed(0)
    whole = layer.train()(features)
    parts = []
    for rank in range(2):
        torch.manual_seed(0)
        shared = _SharedDropout(layer, DeviceGroup(rank, 2, torch.device("cpu"))).train()
        parts.append(shared(features[2 * rank : 2 * rank + 2]))
    assert torch.equal(torch.cat(parts), whole)
    assert _SharedDropout(layer, DeviceGroup(1, 2, torch.device("cpu"))).eval()(features) is features
