"""The selection of a round: which pixels qualify, how many are drawn, and what comes of it; `selection.json`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.divergence import Divergence
from pipeline.schema import Artifact, Distribution, Section, Share

Count = Annotated[int, Field(ge=0)]
Counts = tuple[Count, ...]
Thresholds = tuple[Annotated[float, Field(ge=0.0)] | None, ...]


class RatioChoice(Section):
    """Why a round has the labeling ratio that it has, where `alpha` is `auto`."""

    rule: str
    """`auto_alpha.rule`."""
    limit: str
    """What a larger ratio would break, in words."""


class Selection(Artifact):
    """Thresholds, targets and rates of one round; every tuple is (C,)."""

    described_as = "a selection"
    written_by = "solve_thresholds"

    method: str
    """Labeling method."""
    class_names: tuple[str, ...]
    """Index = train id."""
    num_pixels: Annotated[int, Field(ge=1)]
    """All unlabeled pixels, P."""
    class_priors: Annotated[tuple[Share, ...], Distribution]
    """Class shares that pseudo labels are aligned with (r_j), whatever `data.priors` takes them from; sum to 1."""
    class_thresholds: Thresholds
    """A pixel predicted as class j qualifies when its stored confidence is at least this; None: no pixel does."""
    keep_thresholds: Thresholds
    """At or above, a pixel is kept for certain; None: every qualifying pixel stands in the draw."""
    sampling_rates: tuple[Share, ...]
    """Realized over qualifying pixels (s_j of Algorithm 1); 0 where none qualifies."""
    targets: Counts
    """Pixels that the method means to label (n_j)."""
    predicted_counts: Counts
    """Pixels predicted as class j (m_j)."""
    qualifying_counts: Counts
    """Pixels that qualify."""
    draws: Counts
    """Pixels drawn at random among those that qualify and are not kept for certain."""
    realized_counts: Counts
    """Pixels labeled."""
    shortfalls: Counts
    """Targets not met because too few pixels are predicted as class j."""
    labeling_ratio: float
    """Alpha as asked for."""
    ratio_choice: Annotated[RatioChoice | None, Field(exclude_if=lambda choice: choice is None)] = None
    """Why it is this one; None where `params.yaml` says a number."""
    coverage: float
    """Alpha as realized: labeled over all unlabeled pixels."""
    alpha_max: float
    """The largest ratio at which alignment leaves no shortfall; above 1 every ratio can be served."""
    kl: Divergence
    """D_KL(class_priors || realized_counts)."""

    @property
    def unpredicted_classes(self) -> tuple[str, ...]:
        """Classes that pseudo labels should have and the teacher predicts nowhere: whatever the method, they get none."""
        wanted = zip(self.class_names, self.class_priors, self.predicted_counts, strict=True)
        return tuple(name for name, prior, predicted in wanted if prior > 0 and not predicted)

    def describe_collapse(self) -> str:
        """Say which classes the teacher never predicts and what helps; "" where it predicts all that it should."""
        missing, wanted = self.unpredicted_classes, sum(prior > 0 for prior in self.class_priors)
        if not missing:
            return ""
        return (
            f"the teacher never predicts {len(missing)} of {wanted} classes: {', '.join(missing)}. No method can label them, and"
            " students unlearn them. Train the teacher longer, on smaller images (inference.long_side, augmentation.scale_min),"
            " from pretrained weights or with more labels of these classes; or use the network of round 0"
        )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, value in self:
            if isinstance(value, tuple) and len(value) != len(self.class_names):
                raise ValueError(f"expected {name} for {len(self.class_names)} classes, found {len(value)}")
        parts = zip(self.draws, self.realized_counts, self.qualifying_counts, self.predicted_counts, strict=True)
        if any(not drawn <= realized <= qualifying <= predicted for drawn, realized, qualifying, predicted in parts):
            raise ValueError("expected draws within realized_counts, these within qualifying_counts within predicted_counts")
        return self

    @property
    def drawable_counts(self) -> Counts:
        """Pixels of each class that stand in the draw: those that qualify, less those that are kept for certain."""
        parts = zip(self.qualifying_counts, self.realized_counts, self.draws, strict=True)
        return tuple(qualifying - (realized - drawn) for qualifying, realized, drawn in parts)
