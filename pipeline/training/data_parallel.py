"""One training on several processes: the same batches, losses and updates as on one, up to rounding.

torch's DistributedDataParallel averages gradients and no more: batch normalization would see the crops of each process alone, and
each would draw a dropout of its own. Here they share both, so that the number of processes is a matter of the machine and not of
the experiment. That promise is worth the lines for the CPU, where torch's `SyncBatchNorm` refuses to work: it is tested without a
GPU, in float64 to nine digits (tests/training/test_data_parallel.py).
"""

from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from pipeline.machine.device_group import DeviceGroup
from pipeline.models.network import SegmentationNetwork


def wrap_data_parallel(network: SegmentationNetwork, group: DeviceGroup) -> DistributedDataParallel:
    """Make a network train together with those of the other processes.

    Its batch normalization takes statistics over the crops of all processes, its dropout draws for all of them and keeps its
    own part, and torch's DistributedDataParallel averages its gradients. The names of its parameters stay.

    Args:
        network: on its device, with the same weights in every process; its layers are replaced in place.
        group: of more than one process.
    """
    on_gpu = group.device.type == "cuda"
    if on_gpu:
        _synchronize(network)
    else:
        _replace(network, nn.BatchNorm2d, lambda layer: _SyncBatchNorm2d(layer, group.size))
    _replace(network, (nn.Dropout, nn.Dropout2d), lambda layer: _SharedDropout(layer, group))
    # Statistics are the same everywhere already: there is nothing to broadcast.
    return DistributedDataParallel(network, device_ids=[group.device] if on_gpu else None, forward_sync_buffers=False)


def _synchronize(network: nn.Module) -> None:
    """Replace batch normalization by torch's over all processes."""
    if any(type(layer).__module__.startswith("timm.") for layer in network.modules()):
        # timm's layers normalize and activate in one; its own conversion knows them.
        from timm.layers.norm_act import convert_sync_batchnorm

        convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    else:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]


def _replace(
    module: nn.Module, kind: type[nn.Module] | tuple[type[nn.Module], ...], make: Callable[[nn.Module], nn.Module]
) -> None:
    for name, child in module.named_children():
        if isinstance(child, kind):
            setattr(module, name, make(child))
        else:
            _replace(child, kind, make)


class _SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization over all processes on the CPU, where torch's `SyncBatchNorm` refuses to work."""

    def __init__(self, layer: nn.Module, size: int) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        super().__init__(layer.num_features, eps=layer.eps, momentum=layer.momentum, dtype=layer.weight.dtype)
        self.load_state_dict(layer.state_dict())
        # The optimizer knows the old layer's parameters.
        self.weight, self.bias = layer.weight, layer.bias
        # What timm's layers do besides.
        self.drop, self.act = getattr(layer, "drop", nn.Identity()), getattr(layer, "act", nn.Identity())
        self.train(layer.training)  # that of a frozen backbone stays as it is
        self._size = size

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name of the argument
        """Normalize (N,channels,h,w)."""
        output: Tensor = self.act(self.drop(self._normalize(input)))
        return output

    def _normalize(self, input: Tensor) -> Tensor:  # noqa: A002
        if not self.training:
            return super().forward(input)
        count = input.numel() // self.num_features * self._size
        # As torch's own layer, statistics keep their precision under autocast.
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        mean = _sum(values.sum(dim=(0, 2, 3))) / count
        centered = values - mean[:, None, None]
        variance = _sum((centered * centered).sum(dim=(0, 2, 3))) / count
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], centered, scale[:, None, None]).to(input.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes; a gradient goes back to all of them."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:
        del ctx
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradients[0])


def _sum(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


class _SharedDropout(nn.Module):
    """Dropout that draws for the crops of all processes, as one process would, and keeps the part of its own crops."""

    def __init__(self, layer: nn.Module, group: DeviceGroup) -> None:
        super().__init__()
        assert isinstance(layer, nn.Dropout | nn.Dropout2d)
        self._layer = layer
        self._group = group

    def forward(self, features: Tensor) -> Tensor:
        """Drop elements, or whole channels, of (N,channels,h,w)."""
        if not self.training or self._layer.p == 0:
            return features
        own = len(features)
        shape = (own * self._group.size, *features.shape[1:])
        # All processes have the same seed in a step, so they draw the same; what the layer does to ones is the draw itself.
        layout = torch.channels_last if features.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
        if isinstance(self._layer, nn.Dropout2d):
            shape = (*shape[:2], 1, 1)
        ones = torch.ones(shape, dtype=features.dtype, device=features.device)
        draw = functional.dropout(ones.contiguous(memory_format=layout), self._layer.p)
        return features * draw[self._group.rank * own : (self._group.rank + 1) * own]
