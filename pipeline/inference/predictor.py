"""The test protocol: scales, flips and windows, averaged as probabilities or as logits."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce
from typing import NamedTuple

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
from pipeline.samples.working_size import resize_image, working_size

BAND_BYTES = 2**28
"""Of probabilities, where those of a whole image need not be there at once."""


class Prepared(NamedTuple):
    """An image as `Predictor.predict` takes it.

    Attributes:
        size: height and width of the image itself.
        images: (3, h, w) float32, normalized: one for each scale where the protocol has a working size, else the image alone.
    """

    size: tuple[int, int]
    images: tuple[Tensor, ...]


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

    def prepare(self, image: NDArray[np.uint8]) -> Prepared:
        """Return what `predict` takes, ready for a copy that waits for nothing; any thread may call it.

        With a working size, photos of any size are antialiased on their way to it, by what does it in training; without one,
        nothing is, as in the release.
        """
        size, long_side = (image.shape[0], image.shape[1]), self._params.long_side
        views = [image]
        if long_side is not None:
            views = [resize_image(image, working_size(size, long_side, scale=scale)) for scale in self._params.scales]
        normalized = [normalize(view, self._network.backbone.normalization) for view in views]
        return Prepared(size, tuple(view.pin_memory() if self.device.type == "cuda" else view for view in normalized))

    @torch.inference_mode()
    def predict(self, prepared: Prepared) -> Tensor:
        """Predict one image and leave the result on the device; on a GPU, this returns before it is there.

        The image is scaled, predicted whole or in windows, with its mirror image if the protocol says so; probabilities or
        logits are averaged and brought back to the image's own size.

        Returns:
            (C, H, W) float32, each pixel sums to 1.
        """
        return self._mean(map(partial(_resize, size=prepared.size), self._maps(prepared)))

    @torch.inference_mode()
    def labels_and_confidence(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return what `prediction` does, and (H, W) float32: the probability of each label.

        Where an image is large and its working size small, probabilities are there for a band of rows at a time, so memory
        grows by 5 bytes for each pixel and not by 4 for each pixel and class.
        """
        prepared = self.prepare(image)
        maps, (height, width) = list(self._maps(prepared)), prepared.size
        rows = max(BAND_BYTES // (4 * len(maps[0]) * width), 1)
        bands = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
        labels, confidence = np.empty((height, width), np.uint8), np.empty((height, width), np.float32)
        for band in bands:
            resized = [_resize(one, prepared.size) if len(bands) == 1 else _resize_rows(one, prepared.size, band) for one in maps]
            probs = self._mean(resized)
            labels[band], confidence[band] = self._to_host(arg_max(probs)), probs.amax(dim=0).cpu().numpy()
        return labels, confidence

    def prediction(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (H, W) uint8: the arg max of `probabilities`; the lowest class among ties."""
        return next(self.predictions(lambda _: image, count=1, workers=1))

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

    def _maps(self, prepared: Prepared) -> Iterator[Tensor]:
        """Yield (C, h, w) float32 of each scale, at its size: probabilities or logits, as they are averaged."""
        scales, own_size = self._params.scales, self._params.long_side is None
        images = [image.to(self.device, non_blocking=True) for image in prepared.images]
        for scale, image in zip(scales, images * len(scales) if own_size else images, strict=True):
            yield self._at_scale(_resize(image, working_size(prepared.size, None, scale=scale)) if own_size else image)

    def _mean(self, maps: Iterable[Tensor]) -> Tensor:
        """Return (C, H, W) float32 probabilities: the mean over scales of (C, H, W) probabilities or logits."""
        total = reduce(torch.add, maps)
        probs = total if self._average == "probabilities" else functional.softmax(total / len(self._params.scales), dim=0)
        return probs / probs.sum(dim=0, keepdim=True)

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


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (K, H, W) bilinearly with half-pixel centers; the same size is left as it is."""
    if maps.shape[1:] == size:
        return maps
    return functional.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def _resize_rows(maps: Tensor, size: tuple[int, int], rows: slice) -> Tensor:
    """Return these rows of what `_resize` gives, but for the last bits."""
    height = maps.shape[1]
    centers = (torch.arange(rows.start, rows.stop, dtype=torch.float64, device=maps.device) + 0.5) * height / size[0] - 0.5
    centers = centers.clamp(0, height - 1)
    above = centers.floor().long()
    weight = (centers - above).float()[:, None]
    blended = torch.lerp(maps[:, above], maps[:, (above + 1).clamp(max=height - 1)], weight)
    return _resize(blended, (rows.stop - rows.start, size[1]))
