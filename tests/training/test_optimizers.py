"""Groups of parameters, and what is done to spare memory: the sums of gradients stay."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.models.build import build_network
from pipeline.models.network import SegmentationNetwork
from pipeline.params import TrainingParams
from pipeline.training.batches import Batch
from pipeline.training.block_checkpoints import checkpoint_blocks
from pipeline.training.optimizers import build_optimizer, without_compiler
from pipeline.training.step import train_step
from tests.models.sections import model_params, noise
from tests.training.cases import ALONE, TRAINING, finish, start
from tests.workspace import ROOT

CONVNEXT = model_params(backbone="convnext_atto", network="deeplabv3plus", output_stride=32, head_width=16, auxiliary=False)
TRANSFORMER = model_params(backbone="test_vit", network="linear", output_stride=16, auxiliary=False)
LITE0 = model_params(backbone="tf_efficientnet_lite0", network="linear", output_stride=32, auxiliary=False, dropout=0.5)
TINY = model_params(head_width=8, dropout=0.5)


def network(params: Any) -> SegmentationNetwork:
    torch.manual_seed(0)
    return build_network(params, 3)


def training(**changes: Any) -> TrainingParams:
    return TRAINING.model_copy(update=changes)


def batches(first: int, steps: int, crops: int = 4, classes: int = 3) -> Iterator[Batch]:
    for step in range(first, steps):
        generator = torch.Generator().manual_seed(step)
        yield [
            (torch.randn(crops, 3, 32, 48, generator=generator), torch.randint(0, classes, (crops, 32, 48), generator=generator))
            for _ in range(2)
        ]


RECIPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "adamw": (TRANSFORMER, {"optimizer": "adamw", "learning_rate": 1e-3, "layer_decay": 0.8}),
    "accumulate": (CONVNEXT, {"accumulate": 2, "learning_rate": 1e-3}),
    "checkpoint": (LITE0, {"checkpoint_blocks": True, "learning_rate": 1e-3}),
    "frozen": (LITE0, {"freeze_backbone": True}),
    "no momentum": (TINY, {"momentum": 0.0}),
    "hard examples": (TINY, {"ohem_threshold": 0.5, "ohem_min_share": 0.2}),
    "moving average": (TINY, {"ema_decay": 0.9}),
    "moving average of lite0": (LITE0, {"ema_decay": 0.9, "checkpoint_blocks": True}),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_interrupted_training_ends_with_the_same_bits(recipe: str, tmp_path: Path) -> None:
    params, changes = RECIPES[recipe]

    def run(folder: Path, stop: int | None = None) -> tuple[dict[str, Tensor], object]:
        own = {name: value for name, value in changes.items() if name != "ema_decay"}
        begun = start(network(params), folder, steps=7, params=training(**own), ema_decay=changes.get("ema_decay", 0.0))
        rows = finish(begun, batches(begun.first_step, 7), stop=stop)
        return begun.result.state_dict(), rows

    whole, curve = run(tmp_path / "whole")
    run(tmp_path / "broken", stop=5)
    resumed, resumed_curve = run(tmp_path / "broken")
    assert curve == resumed_curve
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_an_interrupted_training_takes_the_same_snapshots(ema_decay: float, tmp_path: Path) -> None:
    def run(folder: Path, stop: int | None = None) -> list[bytes]:
        folder.mkdir(exist_ok=True)
        torch.manual_seed(0)
        begun = start(build_network(TINY, 2), folder, steps=7, params=training(snapshot_every=2), ema_decay=ema_decay)
        finish(begun, batches(begun.first_step, 7, classes=2), stop=stop)
        return [path.read_bytes() for path in sorted(folder.glob("step-*"))]

    whole = run(tmp_path / "whole")
    assert len(whole) == len(set(whole)) == 3
    run(tmp_path / "broken", stop=5)
    assert run(tmp_path / "broken") == whole


def test_adamw_decays_matrices_and_neither_biases_nor_normalization() -> None:
    built = network(TRANSFORMER)
    optimizer = build_optimizer(built, training(optimizer="adamw", weight_decay=0.3))
    decays = {id(value): group["weight_decay"] for group in optimizer.param_groups for value in group["params"]}
    assert len(decays) == len(list(built.parameters()))
    for name, parameter in built.named_parameters():
        assert decays[id(parameter)] == (0.3 if parameter.ndim > 1 else 0.0), name


def test_rates_fall_by_the_layer_towards_the_images() -> None:
    built = network(TRANSFORMER)
    optimizer = build_optimizer(built, training(layer_decay=0.5, head_factor=7.0))
    factors = {id(value): group["factor"] for group in optimizer.param_groups for value in group["params"]}
    names = dict(built.named_parameters())
    assert set(factors) == {id(parameter) for parameter in names.values()}
    first, last = names["backbone.model.blocks.0.attn.qkv.weight"], names["backbone.model.blocks.5.attn.qkv.weight"]
    assert factors[id(last)] == 32 * factors[id(first)]
    assert factors[id(names["backbone.model.patch_embed.proj.weight"])] < factors[id(first)]
    assert max(value for key, value in factors.items() if key != id(names["head.2.weight"])) <= 7.0
    assert factors[id(names["head.2.weight"])] == 7.0


def test_layers_that_nobody_names_have_one_rate() -> None:
    with pytest.raises(ValueError, match=r"training\.layer_decay - expected 1\.0 for the ResidualBackbone"):
        build_optimizer(network(TINY), training(layer_decay=0.9))


def gradients(
    params: Any, *, accumulate: int = 1, blocks: bool = False, statistics: bool = True
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    built = network(params).train()
    for module in built.modules():
        # Statistics of each part alone are another thing; so are draws.
        if isinstance(module, nn.BatchNorm2d) and not statistics:
            module.eval()
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    if blocks:
        checkpoint_blocks(built.backbone)
    optimizer = torch.optim.SGD(built.parameters(), lr=0.0)
    train_step(built, optimizer, next(batches(0, 1)), training(accumulate=accumulate), ALONE)
    found = {name: parameter.grad for name, parameter in built.named_parameters() if parameter.grad is not None}
    return found, built.state_dict()


@pytest.mark.parametrize("params", [TINY, CONVNEXT], ids=["tiny", "convnext"])
def test_a_batch_in_parts_has_the_gradients_of_the_whole(params: Any) -> None:
    whole, _ = gradients(params, statistics=False)
    parts, _ = gradients(params, accumulate=2, statistics=False)
    assert whole
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("params", [TINY, CONVNEXT, TRANSFORMER, LITE0], ids=["tiny", "convnext", "transformer", "lite0"])
def test_blocks_that_are_computed_twice_have_the_same_gradients_and_statistics(params: Any) -> None:
    kept, state = gradients(params)
    again, again_state = gradients(params, blocks=True)
    assert kept.keys() == again.keys()
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(tensor, again_state[name]) for name, tensor in state.items())


def test_blocks_that_are_computed_twice_keep_fewer_features() -> None:
    def kept(*, blocks: bool) -> int:
        built = network(TRANSFORMER).train()
        if blocks:
            checkpoint_blocks(built.backbone)
        total = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            built.backbone(noise(2, 3, 64, 64))
        return total

    assert kept(blocks=True) < 0.3 * kept(blocks=False)


def test_a_frozen_backbone_keeps_its_weights_and_its_statistics(tmp_path: Path) -> None:
    built = network(LITE0)
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    finish(start(built, tmp_path, steps=3, params=training(freeze_backbone=True)), batches(0, 3))
    for name, tensor in built.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith("backbone."), name


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_steps_without_the_compiler_are_those_of_torch(optimizer: type[torch.optim.Optimizer]) -> None:
    ends = []
    for kind in (optimizer, without_compiler(optimizer)):
        torch.manual_seed(0)
        layer = nn.Linear(5, 3)
        groups: list[dict[str, Any]] = [{"params": layer.weight, "weight_decay": 0.1}, {"params": layer.bias}]
        steps = kind(groups, lr=0.1)  # type: ignore[call-arg]
        for _ in range(4):
            steps.zero_grad()
            layer(torch.randn(7, 5)).square().sum().backward()
            steps.step()
        ends.append((layer.weight, layer.bias, steps.state_dict()))
    torch.testing.assert_close(*ends, rtol=0, atol=0)


def test_no_step_imports_the_compiler() -> None:
    program = """
import sys, torch
from pipeline.training.optimizers import without_compiler
weight = torch.ones(3, requires_grad=True)
for optimizer in (torch.optim.SGD, torch.optim.AdamW):
    steps = without_compiler(optimizer)([weight], lr=0.1)
    steps.zero_grad()
    weight.sum().backward()
    steps.step()
    steps.load_state_dict(steps.state_dict())
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
