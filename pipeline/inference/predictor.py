"""The test protocol: scales, flips and windows, averaged as probabilities or as logits."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipeline.inference.sliding_window import predict_windows
from pipeline.machine.parallel import map_ordered
from pipeline.models.network import SegmentationNetwork
from pipeline.models.normalization import normalize
from pipeline.params import Averaged, InferenceParams
from pipeline.runtime import autocast
from pipeline.samples.working_size import working_size


class Predictor:
    """A network in eval mode on its `device`, and the protocol by which it predicts.

    Networks are tested by averaged probabilities, as in the release; pseudo labels may come from averaged logits, as there.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        params: InferenceParams,
        device: torch.device,
        *,
        average: Averaged = "probabilities",
        compiled: bool = False,
    ) -> None:
        """Move the network to the device; channels-last is the faster memory format for its convolutions."""
        self._network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        if compiled:
            self._network.compile()
        self._params = params
        self._average = average
        self.device = device

    def probabilities(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predict one image, (H, W, 3) uint8 RGB: (C, H, W) float32, each pixel sums to 1."""
        mean: NDArray[np.float32] = self.predict(self.prepare(image)).cpu().numpy()
        return mean

    def prepare(self, image: NDArray[np.uint8]) -> Tensor:
        """Return what `predict` takes, ready for a copy that waits for nothing; any thread may call it."""
        normalized = normalize(image, self._network.backbone.normalization)
        return normalized.pin_memory() if self.device.type == "cuda" else normalized

    @torch.inference_mode()
    def predict(self, normalized: Tensor) -> Tensor:
        """Predict one image and leave the result on the device; on a GPU, this returns before it is there.

        The image is scaled, predicted whole or in windows, with its mirror image if the protocol says so; probabilities or
        logits are averaged and brought back to the image's own size.

        Args:
            normalized: (3, H, W), of `prepare`.

        Returns:
            (C, H, W) float32, each pixel sums to 1.
        """
        height, width = normalized.shape[1:]
        normalized = normalized.to(self.device, non_blocking=True)
        total: Tensor | None = None
        for scale in self._params.scales:
            size = working_size((height, width), self._params.long_side, scale=scale)
            # With a working size, photos of any size are antialiased on their way to it, as in training; without one nothing is.
            maps = self._at_scale(_resize(normalized, size, antialias=self._params.long_side is not None))
            maps = _resize(maps, (height, width))
            total = maps if total is None else total + maps
        assert total is not None
        probs = total if self._average == "probabilities" else functional.softmax(total / len(self._params.scales), dim=0)
        return probs / probs.sum(dim=0, keepdim=True)

    def prediction(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (H, W) uint8: the arg max of `probabilities`; the lowest class among ties."""
        return next(self.predictions(lambda _: image, count=1, workers=1))

    def labels_and_confidence(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return what `prediction` does, and (H, W) float32: the probability of each label."""
        probs = self.predict(self.prepare(image))
        return self._to_host(arg_max(probs)), probs.amax(dim=0).cpu().numpy()

    def predictions(self, read: Callable[[int], NDArray[np.uint8]], *, count: int, workers: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the prediction of every image, which `workers` threads `read`: from 0 .. count - 1 to (H, W, 3) uint8.

        Reading, network and what the caller does overlap.
        """
        prepared = map_ordered(lambda index: self.prepare(read(index)), range(count), workers=workers)
        yield from map_ordered(self._to_host, (arg_max(self.predict(image)) for image in prepared), workers=1)

    def _to_host(self, prediction: Tensor) -> NDArray[np.uint8]:
        labels: NDArray[np.uint8] = prediction.to(torch.uint8).cpu().numpy()
        # NaN is equal to no maximum, not even to itself.
        if int(labels.max()) >= self._network.num_classes:
            raise ValueError(
                "network - expected probabilities - found NaN - check its weights, or set inference.precision to float32"
            )
        return labels

    def _at_scale(self, image: Tensor) -> Tensor:
        params = self._params
        window = (params.window_height, params.window_width) if params.sliding_window else (image.shape[1], image.shape[2])
        return predict_windows(
            self._windows, image, window=window, stride_ratio=params.stride_ratio, batch_size=params.batch_size
        )

    def _windows(self, windows: Tensor) -> Tensor:
        maps = self._forward(windows)
        if self._params.flip:
            maps = (maps + self._forward(windows.flip(3)).flip(3)) / 2
        return maps

    def _forward(self, windows: Tensor) -> Tensor:
        with autocast(self.device, self._params.precision):
            logits: Tensor = self._network(windows.contiguous(memory_format=torch.channels_last)).logits.float()
        return functional.softmax(logits, dim=1) if self._average == "probabilities" else logits


def arg_max(maps: Tensor) -> Tensor:
    """Return (H, W) int64: where the largest of (C, H, W) lies, the lowest class among ties; C for a pixel with NaN.

    On a CPU, torch's own arg max takes four times as long.
    """
    count = len(maps)
    ranks = torch.arange(count, 0, -1, dtype=torch.int16, device=maps.device)[:, None, None]
    return count - torch.where(maps == maps.amax(dim=0), ranks, 0).amax(dim=0).long()


def _resize(maps: Tensor, size: tuple[int, int], *, antialias: bool = False) -> Tensor:
    """Resize (K, H, W) bilinearly with half-pixel centers; the same size is left as it is."""
    if maps.shape[1:] == size:
        return maps
    return functional.interpolate(maps[None], size=size, mode="bilinear", align_corners=False, antialias=antialias)[0]
