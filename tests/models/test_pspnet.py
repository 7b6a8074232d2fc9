import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.models.build import build_network
from pipeline.models.pspnet import PooledBatchNorm2d, PyramidPooling
from tests.models.sections import model_params


def noise(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(48, 96), (49, 97), (37, 53), (5, 101), (1, 1)])
def test_logits_have_the_size_of_the_images(size: tuple[int, int]) -> None:
    network = build_network(model_params(), 7).eval()
    with torch.no_grad():
        output = network(noise(2, 3, *size))
    assert output.logits.shape == (2, 7, *size)
    assert output.logits.dtype == torch.float32


def test_auxiliary_logits_exist_in_training_only() -> None:
    network = build_network(model_params(), 7)
    auxiliary = network(noise(2, 3, 33, 49)).auxiliary_logits
    assert auxiliary is not None
    assert auxiliary.shape == (2, 7, 33, 49)
    assert network.eval()(noise(2, 3, 33, 49)).auxiliary_logits is None


def test_a_network_without_an_auxiliary_head_has_no_auxiliary_logits() -> None:
    network = build_network(model_params(auxiliary=False), 7)
    assert network(noise(2, 3, 33, 49)).auxiliary_logits is None
    assert not any(name.startswith("auxiliary_head") for name in network.state_dict())


@pytest.mark.parametrize("size", [(33, 49), (32, 49), (48, 96), (35, 50)])
def test_every_logit_stays_where_it_was_computed(size: tuple[int, int]) -> None:
    network = build_network(model_params(), 7).eval()
    images = noise(1, 3, *size)
    with torch.no_grad():
        coarse = network.head(network.pyramid(network.backbone(images)[1]))
        torch.testing.assert_close(network(images).logits[:, :, ::4, ::4], coarse)


def test_crops_of_whole_strides_plus_one_are_upsampled_with_aligned_corners() -> None:
    network = build_network(model_params(), 7).eval()
    images = noise(1, 3, 33, 49)
    with torch.no_grad():
        coarse = network.head(network.pyramid(network.backbone(images)[1]))
        expected = functional.interpolate(coarse, size=(33, 49), mode="bilinear", align_corners=True)
        torch.testing.assert_close(network(images).logits, expected)


def test_the_two_learning_rate_groups_partition_all_parameters() -> None:
    for auxiliary in (True, False):
        network = build_network(model_params(auxiliary=auxiliary), 7)
        heads = {id(parameter) for parameter in network.head_parameters()}
        backbone = {id(parameter) for parameter in network.backbone_parameters()}
        assert not heads & backbone
        assert heads | backbone == {id(parameter) for parameter in network.parameters()}
        assert len(heads) == len(list(network.head_parameters()))


def test_a_batch_of_one_crop_trains() -> None:
    torch.manual_seed(0)
    network = build_network(model_params(dropout=0.0), 3)
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


def test_one_value_per_channel_is_normalized_by_the_running_statistics() -> None:
    norm = PooledBatchNorm2d(4)
    norm(noise(8, 4, 3, 3))
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    trained = norm.train()(noise(1, 4, 1, 1))
    assert all(torch.equal(tensor, before[name]) for name, tensor in norm.state_dict().items())
    assert torch.equal(trained, norm.eval()(noise(1, 4, 1, 1)))


@pytest.mark.parametrize("size", [(2, 4, 1, 1), (1, 4, 2, 2), (3, 4, 5, 6)])
def test_more_values_per_channel_are_normalized_as_by_torch(size: tuple[int, ...]) -> None:
    ours, theirs = PooledBatchNorm2d(4), nn.BatchNorm2d(4)
    assert torch.equal(ours(noise(*size)), theirs(noise(*size)))
    assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in ours.state_dict().items())


def test_every_normalization_can_be_synchronized() -> None:
    network = build_network(model_params(), 7)
    names = set(network.state_dict())
    synchronized = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in synchronized.modules())
    assert set(synchronized.state_dict()) == names


def test_pyramid_pooling_keeps_the_features_and_adds_their_mean() -> None:
    pooling = PyramidPooling(6, (1, 2, 3)).eval()
    features = noise(2, 6, 7, 9)
    with torch.no_grad():
        result = pooling(features)
        mean = pooling.branches[0](features)
    assert result.shape == (2, pooling.channels, 7, 9)
    assert torch.equal(result[:, :6], features)
    torch.testing.assert_close(result[:, 6:8], mean.expand(2, 2, 7, 9))
