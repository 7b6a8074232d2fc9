"""`statistics.json`: the statistics of one round, with a schema that the report reads back."""

from typing import Annotated

from pydantic import Field

from pipeline.divergence import Divergence
from pipeline.schema import Artifact, Section

HISTOGRAM_BINS = 50
"""Of equal width, on [0, 1]."""

Pixels = Annotated[int, Field(ge=0, lt=2**63)]
"""A number of pixels."""


class ClassStatistics(Section):
    """One class."""

    name: str
    labeled_share: float
    """Of the labeled pixels, in [0, 1]."""
    frequency: float
    """Share of the labeled images in which it appears."""
    size: float
    """Mean pixels where it appears, over the area of a crop, at the scales of training."""
    group: str
    """By frequency and size."""
    predicted: Pixels
    """Unlabeled pixels that the teacher, calibrated, predicts as it."""
    qualifying: Pixels
    """Those at or above the threshold: what `da` labels."""
    pseudo_labeled: Pixels
    """Those that were labeled."""
    target: Pixels
    """Those that were to be labeled."""
    true: Pixels | None
    """Unlabeled pixels that are of the class; None where no true labels are known."""
    precision: float | None
    """Right among the pixels pseudo-labeled as it whose true class is known; None: there are none."""
    recall: float | None
    """Pseudo-labeled as it among the unlabeled pixels that are of it; None: it does not occur."""
    histogram: tuple[Pixels, ...]
    """(50,) pixels predicted as it, by confidence."""
    at_top: Pixels
    """Pixels predicted as it at the largest confidence of the store, calibrated."""
    tied_float16: Pixels
    """Pixels of the uncalibrated teacher whose confidence is 1 in float16."""
    tied_float32: Pixels
    """Pixels of the uncalibrated teacher whose confidence is 1 in float32."""
    tied_log_odds: Pixels
    """Pixels of the uncalibrated teacher whose log odds are infinite."""


class RegionStatistics(Section):
    """Pixels by size of the object region that they lie in; (B,) each."""

    edges: tuple[float, ...]
    """(B + 1,) sizes as shares of the image's area."""
    pixels: tuple[Pixels, ...]
    predicted_right: tuple[Pixels, ...]
    pseudo_labeled: tuple[Pixels, ...]
    pseudo_labeled_right: tuple[Pixels, ...]


class Divergences(Section):
    """How far distributions of classes are from the class priors, D_KL(class priors || ...)."""

    predicted: Divergence
    """Of the teacher's predictions."""
    qualifying: Divergence
    """Of what thresholds alone would label."""
    targets: Divergence
    """Of what was to be labeled."""
    pseudo_labeled: Divergence
    """Of what was labeled."""


class RoundStatistics(Artifact):
    """One round."""

    described_as = "the statistics of a round"
    written_by = "statistics"

    method: str
    dtype: str
    """Of the confidences."""
    num_pixels: Pixels
    """Of all unlabeled images."""
    coverage: float
    """Pseudo-labeled over all pixels."""
    accuracy: float | None
    """Right over all pseudo-labeled pixels that have a true class; None without any."""
    kl: Divergences
    kl_true: Divergence
    """D_KL(true labels || pseudo labels) over the pixels whose true class is known (Table 15 of the paper)."""
    classes: tuple[ClassStatistics, ...]
    regions: RegionStatistics | None
    """None where no true labels are known."""
