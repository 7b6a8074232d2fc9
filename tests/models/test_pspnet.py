from typing import Any

import pytest
import torch
from torch.nn import functional

from pipeline.models.build import build_network
from pipeline.models.pspnet import PSPNet, PyramidPooling
from tests.models.sections import count, model_params, noise


def pspnet(num_classes: int, **changes: Any) -> PSPNet:
    network = build_network(model_params(**changes), num_classes)
    assert isinstance(network, PSPNet)
    return network


@pytest.mark.parametrize("num_classes", [19, 21])
def test_the_paper_s_network_has_as_many_parameters_as_its_layers_add_up_to(num_classes: int) -> None:
    with torch.device("meta"):
        network = pspnet(num_classes, backbone="resnet50", output_stride=8, head_width=512)
    pyramid = 4 * (2048 * 512 + 2 * 512)
    head = 4096 * 512 * 9 + 2 * 512 + 513 * num_classes
    auxiliary = 1024 * 256 * 9 + 2 * 256 + 257 * num_classes
    assert count(network) == 23_508_032 + pyramid + head + auxiliary
    assert num_classes != 19 or count(network) == 48_956_262


@pytest.mark.parametrize("size", [(33, 49), (32, 49), (48, 96), (35, 50)])
def test_every_logit_stays_where_it_was_computed(size: tuple[int, int]) -> None:
    network = pspnet(7).eval()
    images = noise(1, 3, *size)
    with torch.no_grad():
        coarse = network.head(network.pyramid(network.backbone(images)[-1]))
        torch.testing.assert_close(network(images).logits[:, :, ::4, ::4], coarse)


def test_crops_of_whole_strides_plus_one_are_upsampled_with_aligned_corners() -> None:
    network = pspnet(7).eval()
    images = noise(1, 3, 33, 49)
    with torch.no_grad():
        coarse = network.head(network.pyramid(network.backbone(images)[-1]))
        expected = functional.interpolate(coarse, size=(33, 49), mode="bilinear", align_corners=True)
        torch.testing.assert_close(network(images).logits, expected)


def test_a_batch_of_one_crop_trains() -> None:
    torch.manual_seed(0)
    network = pspnet(3, dropout=0.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    images = noise(1, 3, 33, 49)
    labels = (images.mean(dim=1) > 0.0).long()
    losses = []
    for _ in range(12):
        loss = functional.cross_entropy(network(images).logits, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert all(parameter.grad is not None for parameter in network.pyramid.parameters())


def test_pyramid_pooling_keeps_the_features_and_adds_their_mean() -> None:
    pooling = PyramidPooling(6, (1, 2, 3)).eval()
    features = noise(2, 6, 7, 9)
    with torch.no_grad():
        result = pooling(features)
        mean = pooling.branches[0](features)
    assert result.shape == (2, pooling.channels, 7, 9)
    assert torch.equal(result[:, :6], features)
    torch.testing.assert_close(result[:, 6:8], mean.expand(2, 2, 7, 9))
