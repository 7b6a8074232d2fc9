"""What holds for every network."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.models.build import build_network
from pipeline.models.checkpoints import read_model, write_model
from pipeline.models.network import PooledBatchNorm2d, upsample_by_stride
from pipeline.params import ModelParams
from tests.models.sections import PROTOCOL, SMALL_NETWORKS, model_params, noise

networks = pytest.mark.parametrize("params", [pytest.param(params, id=name) for name, params in SMALL_NETWORKS.items()])


@networks
@pytest.mark.parametrize("size", [(48, 96), (49, 97), (37, 53), (5, 101), (1, 1)])
def test_logits_have_the_size_of_the_images(params: ModelParams, size: tuple[int, int]) -> None:
    network = build_network(params, 7).eval()
    with torch.no_grad():
        output = network(noise(2, 3, *size))
    assert output.logits.shape == (2, 7, *size)
    assert output.logits.dtype == torch.float32
    assert output.auxiliary_logits is None


@networks
def test_auxiliary_logits_exist_in_training_where_there_is_an_auxiliary_head(params: ModelParams) -> None:
    auxiliary = build_network(params, 7)(noise(2, 3, 33, 49)).auxiliary_logits
    assert (auxiliary is not None) == params.auxiliary
    if auxiliary is not None:
        assert auxiliary.shape == (2, 7, 33, 49)
    without = build_network(params.model_copy(update={"auxiliary": False}), 7)
    assert without(noise(2, 3, 33, 49)).auxiliary_logits is None
    assert not any(name.startswith("aux") for name in without.state_dict())


@networks
def test_the_two_learning_rate_groups_partition_all_parameters(params: ModelParams) -> None:
    network = build_network(params, 7)
    heads = [id(parameter) for parameter in network.head_parameters()]
    backbone = [id(parameter) for parameter in network.backbone_parameters()]
    assert backbone + heads == [id(parameter) for parameter in network.parameters()]
    assert len(set(backbone + heads)) == len(backbone + heads)
    assert backbone
    assert heads


@networks
def test_a_batch_of_one_crop_trains_every_parameter(params: ModelParams) -> None:
    network = build_network(params, 3)
    labels = torch.randint(0, 3, (1, 33, 49), generator=torch.Generator().manual_seed(1))
    output = network(noise(1, 3, 33, 49))
    loss = sum(functional.cross_entropy(logits, labels) for logits in output if logits is not None)
    assert isinstance(loss, torch.Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:  # batch normalization of deeplabv2, as its own test says
            assert params.network == "deeplabv2"
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())


@networks
def test_every_normalization_can_be_synchronized(params: ModelParams) -> None:
    network = build_network(params, 7)
    names = set(network.state_dict())
    synchronized = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in synchronized.modules())
    assert set(synchronized.state_dict()) == names


@networks
def test_a_checkpoint_brings_back_the_network_and_its_bytes(params: ModelParams, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(params, 3).eval()
    colors = ((1, 2, 3), (4, 5, 6), (7, 8, 255))
    write_model(tmp_path / "once", network, model_params=params, protocol=PROTOCOL, class_names="abc", colors=colors)
    again = read_model(tmp_path / "once")
    write_model(
        tmp_path / "twice",
        again.network,
        model_params=again.model_params,
        protocol=PROTOCOL,
        class_names=again.class_names,
        colors=again.colors,
    )
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()
    with torch.no_grad():
        assert torch.equal(again.network(noise(1, 3, 33, 49)).logits, network(noise(1, 3, 33, 49)).logits)


@networks
def test_a_checkpoint_serves_as_weights(params: ModelParams, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    source = build_network(params, 3)
    write_model(path, source, model_params=params, protocol=PROTOCOL, class_names="abc", colors=((0, 0, 0),) * 3)
    network = build_network(params.model_copy(update={"weights": str(path)}), 3)
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in source.state_dict().items())


@pytest.mark.parametrize("size", [(33, 49), (32, 49), (35, 50), (36, 52)])
@pytest.mark.parametrize("stride", [4, 8])
def test_every_logit_stays_where_it_was_computed(stride: int, size: tuple[int, int]) -> None:
    coarse = noise(1, 2, -(-size[0] // stride), -(-size[1] // stride))
    upsampled = upsample_by_stride(coarse, stride, size)
    assert upsampled.shape[2:] == size
    torch.testing.assert_close(upsampled[:, :, ::stride, ::stride], coarse)


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


@pytest.mark.parametrize("network", ["pspnet", "deeplabv2"])
@pytest.mark.parametrize(("stride", "shallow"), [(4, 4), (8, 8), (16, 8)])
def test_auxiliary_logits_are_upsampled_by_the_stride_of_their_own_features(network: str, stride: int, shallow: int) -> None:
    built = build_network(model_params(network=network, output_stride=stride, dropout=0.0), 7)
    # Running statistics make both passes alike; the auxiliary head answers in training only.
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    images = noise(1, 3, 64, 80)
    auxiliary = built(images).auxiliary_logits
    head = built.get_submodule("auxiliary_head")
    assert built.backbone.strides[-2:] == (shallow, stride)
    torch.testing.assert_close(auxiliary[:, :, ::shallow, ::shallow], head(built.backbone(images)[-2]))
