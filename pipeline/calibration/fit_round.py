"""Fit a round's calibrator on labeled images, and measure what it does on the validation images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration.calibration_error import (
    Reliability,
    calibration_errors,
    measure_reliability,
    no_pixels,
    reliability_diagram,
)
from pipeline.calibration.calibrator import FIT, Calibrator, CalibratorFile
from pipeline.calibration.pixels import LabeledMap, sample_pixels
from pipeline.machine.progress import Progress
from pipeline.params import CalibrationFitParams
from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.images import image_of, labels_of
from pipeline.samples.sample_lists import Sample

Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]
"""From an image, (H, W, 3) uint8, to its probabilities as a softmax store would hold them, (C, H, W)."""


def labeled_maps(samples: Sequence[Sample], catalog: Catalog, predict: Predict, progress: Progress) -> Iterator[LabeledMap]:
    """Predict labeled images, whose labels are spelled as `catalog` says, one after another."""
    for sample in progress(samples, total=len(samples), unit="labeled image"):
        yield predict(image_of(sample)), labels_of(sample, catalog)


def fit_round(
    method: str,
    params: CalibrationFitParams,
    fitting: Iterable[LabeledMap],
    val: Iterable[LabeledMap],
    *,
    class_names: Sequence[str],
    rng: np.random.Generator,
) -> CalibratorFile:
    """Fit a calibrator and measure its effect.

    Args:
        method: a key of `FIT`.
        params: the `calibration_fit` section.
        fitting: maps to fit on.
        val: maps of the validation images, to measure errors on.
        class_names: (C,).
        rng: draws the pixels to fit on.

    Raises:
        ValueError: no pixel to fit on has a class.
    """
    pixels = sample_pixels(fitting, ignore_index=IGNORE_INDEX, most=params.max_pixels, rng=rng)
    fitted = FIT[method](pixels, params.bins)
    before, after = _measure(val, fitted, len(class_names))
    return CalibratorFile(
        class_names=tuple(class_names),
        calibrator=fitted,
        fitted_on=params.images,
        fitted_pixels=len(pixels.labels),
        errors_before=calibration_errors(before),
        errors_after=calibration_errors(after),
        before=reliability_diagram(before),
        after=reliability_diagram(after),
    )


def _measure(maps: Iterable[LabeledMap], fitted: Calibrator, num_classes: int) -> tuple[Reliability, Reliability]:
    before = after = no_pixels(num_classes)
    for probs, labels in maps:
        before += measure_reliability(probs, labels, ignore_index=IGNORE_INDEX)
        after += measure_reliability(fitted.calibrate(probs), labels, ignore_index=IGNORE_INDEX)
    return before, after
