"""From a checkpoint and samples to predictions."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.inference.predictor import Predictor
from pipeline.models.checkpoints import read_model
from pipeline.params import InferenceParams, RuntimeParams
from pipeline.runtime import prepare_device
from pipeline.samples.images import image_reader
from pipeline.samples.sample_lists import Sample


def predict_samples(
    checkpoint: Path, samples: Sequence[Sample], *, params: InferenceParams, runtime: RuntimeParams
) -> Iterator[NDArray[np.uint8]]:
    """Yield what the network of a checkpoint predicts of each sample's image by the protocol of `params`, (H, W) uint8 train ids.

    Raises:
        ValueError: the checkpoint or an image is missing or damaged, or the network predicts NaN.
    """
    predictor = Predictor(read_model(checkpoint).network, params, prepare_device(runtime), compiled=runtime.compile)
    yield from predictor.predictions(image_reader(samples), count=len(samples), workers=runtime.workers)
