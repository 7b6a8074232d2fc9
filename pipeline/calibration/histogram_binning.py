"""Histogram binning: in each class, one against the rest, a probability becomes the share of right pixels in its bin.

Reference: Zadrozny, Elkan: Obtaining calibrated probability estimates from decision trees and naive Bayesian classifiers, ICML
2001; of several classes, one against the rest and renormalized: Guo et al., ICML 2017, section 4.2.
"""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pipeline.calibration.pixels import FittingPixels, bin_of, calibrate_chunks
from pipeline.schema import Section


class HistogramBinning(Section):
    """Replaces probabilities by accuracies of bins of equal width; may change predictions and makes many of them equal."""

    method: Literal["histogram_binning"] = "histogram_binning"
    accuracies: tuple[tuple[float, ...], ...]
    """(C, B): share of a bin's pixels that are of the class, in [0, 1]; of a bin without pixels, the middle of the bin."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len({len(row) for row in self.accuracies}) != 1 or not self.accuracies[0]:
            raise ValueError("expected as many bins in every class")
        if not all(0.0 <= value <= 1.0 for row in self.accuracies for value in row):
            raise ValueError("expected accuracies in [0, 1]")
        return self

    def calibrate(self, probs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the accuracy of each probability's bin, renormalized, (C, ...) float32.

        Where the accuracies of all classes are 0, nothing can be renormalized and the pixel keeps its probabilities.
        """
        table = np.array(self.accuracies)
        classes = np.arange(len(table))

        def calibrate(chunk: NDArray[np.floating]) -> NDArray[np.float64]:
            binned = table[classes, bin_of(chunk, table.shape[1])]
            kept = np.where(binned.any(axis=1, keepdims=True), binned, chunk.astype(np.float64))
            normalized: NDArray[np.float64] = kept / kept.sum(axis=1, keepdims=True)
            return normalized

        return calibrate_chunks(probs, calibrate)


def fit_histogram_binning(pixels: FittingPixels, *, bins: int) -> HistogramBinning:
    """Measure the accuracy of each class's bins.

    Args:
        pixels: to fit on.
        bins: of equal width, on [0, 1].
    """
    count = pixels.num_classes
    places = bin_of(pixels.probs.T, bins) + np.arange(count)[:, None] * bins
    totals = np.bincount(places.ravel(), minlength=count * bins)
    own = places[pixels.labels, np.arange(len(pixels.labels))]
    right = np.bincount(own, minlength=count * bins)
    middles = np.tile((np.arange(bins) + 0.5) / bins, count)
    accuracies = np.where(totals > 0, right / np.maximum(totals, 1), middles).reshape(count, bins)
    return HistogramBinning(accuracies=tuple(map(tuple, accuracies.tolist())))
