"""How far confidences are from accuracies: ECE, classwise ECE and NLL, counted image by image.

Reference: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 2 (ECE, NLL); Kull et al., Beyond temperature
scaling, NeurIPS 2019, section 2 (classwise ECE).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration.pixels import PROBABILITY_FLOOR, bin_of
from pipeline.schema import Section

NUM_BINS = 15
"""Of equal width, as in Guo et al."""


class CalibrationErrors(Section):
    """How far confidences are from accuracies."""

    ece: float
    """Mean distance between accuracy and confidence, weighted by pixels, in [0, 1]."""
    classwise_ece: float
    """The same of each class against the rest, mean over classes."""
    nll: float
    """Mean log loss in nats."""


@dataclass(frozen=True)
class Reliability:
    """Sums over pixels; those of several images add up.

    Attributes:
        counts: (C + 1, B) int64, pixels by bin of the probability of each class; the last row by bin of the confidence.
        sums: (C + 1, B) float64, their probabilities added up.
        hits: (C + 1, B) int64, pixels among them that are of the class; in the last row those predicted rightly.
        log_loss: negative natural logarithms of the true classes' probabilities, added up, in nats.
    """

    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    hits: NDArray[np.int64]
    log_loss: float

    def __add__(self, other: "Reliability") -> "Reliability":
        """Add the pixels of another image."""
        return Reliability(
            self.counts + other.counts, self.sums + other.sums, self.hits + other.hits, self.log_loss + other.log_loss
        )


def measure_reliability(probs: NDArray[np.floating[Any]], labels: NDArray[np.uint8], *, ignore_index: int) -> Reliability:
    """Count one image.

    Args:
        probs: (C, H, W) probabilities.
        labels: (H, W) uint8, train ids.
        ignore_index: label of pixels that do not count.
    """
    valid = labels != ignore_index
    flat, classes = probs[:, valid].astype(np.float64), labels[valid]
    count = len(flat)
    confidence, prediction = flat.max(axis=0, initial=0.0), flat.argmax(axis=0)
    values = np.concatenate([flat, confidence[None]])
    right = np.concatenate([classes == np.arange(count)[:, None], (prediction == classes)[None]])
    bins = bin_of(values, NUM_BINS) + np.arange(count + 1)[:, None] * NUM_BINS

    def add_up(weights: NDArray[np.float64] | None, where: NDArray[np.int64]) -> NDArray[Any]:
        total: NDArray[Any] = np.bincount(where.ravel(), weights, minlength=(count + 1) * NUM_BINS)
        return total.reshape(count + 1, NUM_BINS)

    own = np.take_along_axis(flat, classes[None].astype(np.int64), axis=0)[0]
    log_loss = float(-np.log(np.maximum(own, PROBABILITY_FLOOR)).sum())
    return Reliability(add_up(None, bins), add_up(values.ravel(), bins), add_up(None, bins[right]), log_loss)


def no_pixels(num_classes: int) -> Reliability:
    """Return the sums over no image."""
    shape = (num_classes + 1, NUM_BINS)
    return Reliability(np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape, np.int64), 0.0)


def calibration_errors(total: Reliability) -> CalibrationErrors:
    """Turn sums over all images, one pixel at least, into measures."""
    pixels = int(total.counts[-1].sum())
    # Of a bin with n_b pixels: n_b / n times |hits / n_b - sums / n_b|.
    errors = np.abs(total.hits - total.sums).sum(axis=1) / pixels
    return CalibrationErrors(ece=float(errors[-1]), classwise_ece=float(errors[:-1].mean()), nll=total.log_loss / pixels)


def reliability_diagram(total: Reliability) -> dict[str, tuple[float | None, ...]]:
    """Return `accuracy` and mean `confidence` of each bin of the confidence, None in empty bins, and its `share` of pixels."""
    counts = total.counts[-1]
    return {
        "accuracy": _ratios(total.hits[-1], counts),
        "confidence": _ratios(total.sums[-1], counts),
        "share": tuple((counts / max(int(counts.sum()), 1)).tolist()),
    }


def _ratios(parts: NDArray[Any], counts: NDArray[np.int64]) -> tuple[float | None, ...]:
    return tuple(part / count if count else None for part, count in zip(parts.tolist(), counts.tolist(), strict=True))
