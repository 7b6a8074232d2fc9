"""The exponential moving average of a network's weights and statistics."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from pipeline.models.network import SegmentationNetwork


class MovingAverage:
    """A second network that follows the first; with a decay of 0 it would be the first at each step, and it is.

    Attributes:
        network: the average.
    """

    def __init__(self, network: SegmentationNetwork, decay: float) -> None:
        """Begin with a copy of the network; `decay` is the share that the average keeps at each step, at the start less.

        Reference: Tarvainen and Valpola, Mean Teachers, NeurIPS 2017; min(decay, 1 - 1/(step + 1)), as their code and UniMatch's.
        """

        @torch.no_grad()
        def update(averages: Sequence[Tensor], values: Sequence[Tensor], count: Any) -> None:  # noqa: ANN401 - an int or a tensor
            keep = min(decay, 1.0 - 1.0 / (int(count) + 1))
            for average, value in zip(averages, values, strict=True):
                if average.is_floating_point():
                    average.lerp_(value, 1.0 - keep)
                else:
                    average.copy_(value)  # a counter of batch normalization

        self._followed = network
        self._averaged = AveragedModel(network, multi_avg_fn=update, use_buffers=True) if decay else None
        self.network: SegmentationNetwork = self._averaged.module if self._averaged else network  # type: ignore[assignment]

    def networks(self) -> dict[str, SegmentationNetwork]:
        """Return all that must be kept to go on."""
        return {"network": self._followed} | ({"average": self.network} if self._averaged else {})

    def resume(self, steps: int) -> None:
        """Go on behind so many steps; the networks have been put back."""
        if self._averaged:
            self._averaged.n_averaged.fill_(steps)

    def update(self) -> None:
        """Follow by one step."""
        if self._averaged:
            self._averaged.update_parameters(self._followed)
