"""A trained network as a function of images; torch is imported when one is loaded, and not before."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.params import default_params

if TYPE_CHECKING:
    from pipeline.inference.predictor import Predictor

Image = NDArray[np.uint8] | str | Path
"""(H, W, 3) uint8, RGB, or the file of an image."""


@dataclass(frozen=True)
class Model:
    """A network, and the protocol that it was tested by.

    Attributes:
        class_names: (C,), in the order of train ids.
        colors: (C,) RGB triples, 0-255.
        protocol: scales, flips and windows, in words.
    """

    class_names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    protocol: str
    _predictor: "Predictor" = field(repr=False, compare=False)


def load(path: str | Path, *, device: str = "auto") -> Model:
    """Load the network of a checkpoint, `data/rounds/K/model.safetensors` of a workspace; no code is read from it.

    It predicts by the protocol in the checkpoint: the one that its figures were measured by. Threads and kernels of torch stay
    as the program has them.

    Args:
        path: of the checkpoint.
        device: `cpu`, `cuda`, `cuda:1` ...; `auto` takes the first GPU, else the CPU.

    Raises:
        ValueError: there is no checkpoint at `path`, or no such device.
    """
    import torch

    from pipeline.inference.predictor import Predictor
    from pipeline.inference.protocol import describe_views
    from pipeline.models.checkpoints import read_model

    name = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without GPUs
        raise ValueError(f"device - expected auto, cpu or a GPU that torch finds - found {device} - choose another") from error
    checkpoint = read_model(Path(path))
    params = default_params().inference.model_copy(update=dict(checkpoint.protocol))
    return Model(
        checkpoint.class_names,
        checkpoint.colors,
        describe_views(checkpoint.protocol),
        Predictor(checkpoint.network, params, torch.device(name)),
    )


def predict(model: Model, image: Image) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Predict the class of each pixel of one image, as the command `predict` does.

    Args:
        model: what `load` returned.
        image: (H, W, 3) uint8, RGB, or the file of an image, which is turned upright by its EXIF orientation.

    Returns:
        (H, W) uint8 train ids in 0..C-1, and (H, W) float32 in [0, 1]: the probability of each.

    Raises:
        ValueError: that is no image, or the network predicts NaN.
    """
    return model._predictor.labels_and_confidence(_pixels(image))


def probabilities(model: Model, image: Image) -> NDArray[np.float32]:
    """Predict one image: (C, H, W) float32, each pixel sums to 1; what `thresholds` and `labels` take.

    Raises:
        ValueError: that is no image.
    """
    return model._predictor.probabilities(_pixels(image))


def _pixels(image: Image) -> NDArray[np.uint8]:
    if isinstance(image, str | Path):
        from pipeline.samples.images import read_image

        return read_image(Path(image))
    pixels: NDArray[Any] = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"image - expected (H, W, 3) uint8, RGB - found {pixels.shape} {pixels.dtype} - convert it")
    return pixels
