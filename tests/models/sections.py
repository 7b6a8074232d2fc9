from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pipeline.models.build import build_network
from pipeline.models.checkpoints import write_model
from pipeline.params import InferenceProtocol, ModelParams

Network = TypeVar("Network", bound=nn.Module)

PROTOCOL = InferenceProtocol(
    long_side=None,
    scales=(1.0,),
    flip=True,
    sliding_window=False,
    window_height=48,
    window_width=96,
    stride_ratio=0.5,
)
"""Of any network."""
NAMES = ("road", "car", "sky")
COLORS = ((128, 64, 128), (0, 0, 142), (70, 130, 180))


def model_params(**changes: Any) -> ModelParams:
    values: dict[str, Any] = {
        "network": "pspnet",
        "backbone": "tiny",
        "output_stride": 4,
        "bins": (1, 2, 3, 6),
        "head_width": 48,
        "dropout": 0.1,
        "auxiliary": True,
        "weights": "none",
    }
    return ModelParams(**{**values, **changes})


def write_small_model(path: Path, *, protocol: InferenceProtocol = PROTOCOL) -> None:
    """Write the checkpoint of a small network of random weights, of the classes `NAMES` in `COLORS`."""
    torch.manual_seed(0)
    section = model_params(head_width=8)
    network = build_network(section, len(NAMES))
    write_model(path, network, model_params=section, protocol=protocol, class_names=NAMES, colors=COLORS)


_MOBILE = {"backbone": "mobilenet_v3_large", "output_stride": 16}
# Every network, each as small as it comes.
SMALL_NETWORKS = {
    "pspnet": model_params(),
    "deeplabv2": model_params(network="deeplabv2"),
    "deeplabv3": model_params(network="deeplabv3"),
    "deeplabv3-mobile": model_params(network="deeplabv3", **_MOBILE),
    "lraspp": model_params(network="lraspp", auxiliary=False, **_MOBILE),
}


def noise(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def with_uneven_statistics(module: Network) -> Network:
    """Give every normalization its own statistics, so that a mix-up of layers shows."""
    generator = torch.Generator().manual_seed(1)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            assert child.running_mean is not None
            child.running_mean.normal_(0.0, 0.1, generator=generator)
    return module.eval()
