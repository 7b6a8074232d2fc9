"""The calibrators: one table to fit them, one file format to keep them."""

from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import Field

from pipeline.calibration.calibration_error import CalibrationErrors
from pipeline.calibration.histogram_binning import HistogramBinning, fit_histogram_binning
from pipeline.calibration.matrix import MatrixScaling, fit_matrix
from pipeline.calibration.none import NoCalibration
from pipeline.calibration.pixels import FittingPixels
from pipeline.calibration.temperature import Temperature, fit_temperature
from pipeline.calibration.vector import VectorScaling, fit_vector
from pipeline.schema import Artifact

Calibrator = NoCalibration | Temperature | VectorScaling | MatrixScaling | HistogramBinning
"""Any of them: `calibrate` takes (C, ...) probabilities and returns (C, ...) float32 ones on the simplex."""

FIT: dict[str, Callable[[FittingPixels, int], Calibrator]] = {
    "temperature": lambda pixels, _: fit_temperature(pixels),
    "vector": lambda pixels, _: fit_vector(pixels),
    "matrix": lambda pixels, _: fit_matrix(pixels),
    "histogram_binning": lambda pixels, bins: fit_histogram_binning(pixels, bins=bins),
}
"""By the name in `params.yaml`; the number is that of histogram binning's bins. `none` needs no fitting."""

Diagram = Mapping[str, tuple[float | None, ...]]
"""Accuracy, confidence and share of pixels of each bin."""


class CalibratorFile(Artifact):
    """`calibrator.json`."""

    described_as = "a calibrator"
    written_by = "calibrate"

    class_names: tuple[str, ...]
    """(C,)."""
    calibrator: Annotated[Calibrator, Field(discriminator="method")]
    fitted_on: str | None = None
    """Which labeled pixels: `holdout`, `val`, or null for none."""
    fitted_pixels: int = 0
    """How many."""
    errors_before: CalibrationErrors | None = None
    """On the validation images without the calibrator."""
    errors_after: CalibrationErrors | None = None
    """And with it."""
    before: Diagram | None = None
    """Reliability on the validation images without the calibrator, by bin of the confidence."""
    after: Diagram | None = None
    """And with it."""
