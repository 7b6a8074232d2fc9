import pytest
import torch
from torch.nn import functional

from pipeline.models.build import build_network
from pipeline.models.deeplabv2 import DeepLabV2
from pipeline.params import read_params
from pipeline.training.optimizers import build_optimizer
from tests.models.sections import count, model_params, noise
from tests.workspace import ROOT


def deeplabv2(num_classes: int) -> DeepLabV2:
    torch.manual_seed(0)
    network = build_network(model_params(network="deeplabv2", auxiliary=False), num_classes)
    assert isinstance(network, DeepLabV2)
    return network


@pytest.mark.parametrize("num_classes", [19, 21])
def test_the_paper_s_network_has_as_many_parameters_as_its_layers_add_up_to(num_classes: int) -> None:
    params = model_params(network="deeplabv2", backbone="resnet101", output_stride=8, auxiliary=False)
    with torch.device("meta"):
        network = build_network(params, num_classes)
    assert count(network) == 42_500_160 + 4 * (2048 * num_classes * 9 + num_classes)


def test_each_of_the_four_branches_contributes_and_learns() -> None:
    network = deeplabv2(5)
    assert [branch.dilation for branch in network.aspp] == [(6, 6), (12, 12), (18, 18), (24, 24)]
    images = noise(1, 3, 121, 129)
    network(images).logits.square().sum().backward()
    network.eval()
    with torch.no_grad():
        whole = network(images).logits
        for branch in network.aspp:
            assert isinstance(branch.weight, torch.nn.Parameter)
            assert branch.weight.grad is not None
            # Each of the nine taps: a branch that reached past the features would learn at its center alone.
            assert (branch.weight.grad.abs().sum(dim=(0, 1)) > 0).all()
            kept = branch.weight.clone()
            branch.weight.zero_()
            assert not torch.allclose(network(images).logits, whole)
            branch.weight.copy_(kept)


def test_the_logits_are_the_sum_of_the_branches_each_on_its_pixel() -> None:
    network = deeplabv2(5).eval()
    images = noise(1, 3, 35, 50)
    with torch.no_grad():
        features = network.backbone(images)[-1]
        coarse = torch.zeros(1, 5, 9, 13)
        for dilation, branch in zip((6, 12, 18, 24), network.aspp, strict=True):
            assert isinstance(branch, torch.nn.Conv2d)
            coarse += functional.conv2d(features, branch.weight, branch.bias, padding=dilation, dilation=dilation)
        torch.testing.assert_close(network(images).logits[:, :, ::4, ::4], coarse)


def test_the_branches_start_as_deeplab_s() -> None:
    for branch in deeplabv2(19).aspp:
        assert isinstance(branch, torch.nn.Conv2d)
        assert branch.weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert branch.bias is not None
        assert not branch.bias.any()


def test_weights_and_biases_of_the_batch_normalization_stay_and_its_statistics_move() -> None:
    network = deeplabv2(5)
    norms = [module for module in network.backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    frozen = {id(parameter) for module in norms for parameter in module.parameters()}
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = build_optimizer(network, read_params(ROOT / "params.yaml").training)
    network(noise(2, 3, 33, 41)).logits.square().sum().backward()
    optimizer.step()
    after = network.state_dict()
    for name, parameter in network.named_parameters():
        assert torch.equal(after[name], before[name]) == (id(parameter) in frozen), name
    moved = [name for name in before if name.endswith("running_mean") and not torch.equal(after[name], before[name])]
    assert len(moved) == len(norms)
