"""A file run by onnxruntime, held against the network that it was made from."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.export.request import Shape
from pipeline.models.network import SegmentationNetwork
from pipeline.models.normalization import normalize

TOLERANCE = 1e-4
"""Largest difference of a logit over the largest logit of the batch, or over 1 where that is smaller."""

_DYNAMIC_BATCH = 2
"""Images of a batch where any number may be; three images then make two batches of different sizes."""


@dataclass
class Agreement:
    """Of a file and its network, over all images that both have seen."""

    images: int = 0
    difference: float = 0.0
    """The largest of a logit, as `TOLERANCE` counts it."""
    ties: int = 0
    """Pixels of another class, whose two logits differ by no more than rounding."""

    def __str__(self) -> str:
        """Say it in one line."""
        ties = f", {self.ties} pixels of another class among ties" if self.ties else ", every pixel of the same class"
        return f"as torch on {self.images} images: logits within {self.difference:.1g}{ties}"


def compare(
    contents: Iterable[bytes],
    network: SegmentationNetwork,
    shape: Shape,
    images: Iterable[NDArray[np.uint8]],
    *,
    threads: int,
    where: str,
) -> Agreement:
    """Run files and their network on images.

    Args:
        contents: of the files: with logits, or without.
        network: on the CPU, in eval mode.
        shape: of a file's images.
        images: (H, W, 3) each.
        threads: of a file; the network has torch's.
        where: name of the network, for errors.

    Raises:
        ValueError: they differ by more than rounding, or the network gives no numbers.
    """
    sessions = [_open(content, threads) for content in contents]
    agreement = Agreement()
    for batch, count in _batches(images, shape.batch):
        expected = _logits(network, batch)
        if not np.isfinite(expected).all():
            raise ValueError(f"{where} - expected finite logits - found NaN or infinity - check its weights")
        for session in sessions:
            outputs = session.run(None, {"images": batch})
            _hold(agreement, expected, *outputs, where=where)
        agreement.images += count
    return agreement


def _hold(
    agreement: Agreement,
    expected: NDArray[np.float32],
    prediction: NDArray[np.uint8],
    confidence: NDArray[np.float32],
    logits: NDArray[np.float32] | None = None,
    *,
    where: str,
) -> None:
    scale = max(1.0, float(np.abs(expected).max()))
    largest = expected.max(axis=1)
    # Of a softmax's largest value, written so that nothing overflows.
    probability = 1 / np.exp(expected - largest[:, None]).sum(axis=1)
    differences = [np.abs(confidence - probability).max() / scale]
    if logits is not None:
        differences.append(np.abs(logits - expected).max() / scale)
    chosen = np.take_along_axis(expected, prediction[:, None].astype(np.int64), axis=1)[:, 0]
    lost = (largest - chosen) / scale
    # Two logits that are one too high and one too low by the tolerance. NaN is no difference that is small enough.
    if not (max(differences) <= TOLERANCE and lost.max() <= 2 * TOLERANCE):
        raise ValueError(
            f"{where} - expected of onnxruntime the logits of torch within {TOLERANCE:g} - found a difference of"
            f" {max(differences):.1g}, and classes whose logits are {lost.max():.1g} below the largest - nothing was written;"
            " choose another network or size"
        )
    agreement.difference = max(agreement.difference, *map(float, differences))
    if logits is not None:
        agreement.ties += int(np.count_nonzero(prediction != expected.argmax(axis=1)))


def _batches(images: Iterable[NDArray[np.uint8]], size: int | None) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Yield batches and how many images of each are new: where a batch has to be full, the last one repeats its own."""
    left = iter(images)
    while part := list(itertools.islice(left, size or _DYNAMIC_BATCH)):
        yield np.stack(list(itertools.islice(itertools.cycle(part), size or len(part)))), len(part)


def _logits(network: SegmentationNetwork, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    normalized = torch.stack([normalize(image, network.backbone.normalization) for image in batch])
    with torch.inference_mode():
        logits: NDArray[np.float32] = network(normalized).logits.numpy()
    return logits


def _open(content: bytes, threads: int) -> Any:  # noqa: ANN401 - onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
