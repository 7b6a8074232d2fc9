"""What one training does: pretraining on labeled images alone, a student on labeled and pseudo-labeled ones."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from pipeline.params import AugmentationParams, PretrainParams, StrongViewParams, StudentParams, TrainingParams
from pipeline.samples.catalog import Catalog
from pipeline.samples.sample_lists import Sample
from pipeline.training.schedules import count_steps
from pipeline.training.training_set import TrainingSet


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """All that a training depends on besides its first weights and the files of its sets.

    Attributes:
        sets: labeled, and for a student with pseudo labels also unlabeled; each gives its own part of every batch.
        steps: optimizer steps.
        training: the `training` section.
        augmentation: the `augmentation` section; its scales are not read.
        scales: lower and upper end of the random scale.
        strong_views: the section, for the sets that are to have them; None = no set has.
        strength: factor on its probabilities.
        ema_decay: of the moving average of the weights that is the result; 0 = the last weights are.
        seed: of the experiment.
        round_key: names the round; `"0"` is pretraining.
        rounds_before: see `poly_factor`.
    """

    sets: Sequence[TrainingSet]
    steps: int
    training: TrainingParams
    augmentation: AugmentationParams
    scales: tuple[float, float]
    seed: int
    round_key: str
    rounds_before: int = 0
    strong_views: StrongViewParams | None = None
    strength: float = 1.0
    ema_decay: float = 0.0

    def parameters(self) -> dict[str, object]:
        """Return the plan as JSON-able values, by which partial work is known again; sets are batch sizes by name."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        names = ("training", "augmentation", "strong_views")
        sections = {name: plain[name] and plain[name].model_dump(mode="json") for name in names}
        return plain | sections | {"sets": {source.name: source.batch_size for source in self.sets}}


def plan_pretraining(
    labeled: Sequence[Sample],
    catalog: Catalog,
    pretrain: PretrainParams,
    training: TrainingParams,
    augmentation: AugmentationParams,
    *,
    seed: int,
) -> TrainingPlan:
    """Plan round 0: on labeled images alone, at the scales of the section `augmentation`.

    Reference: He et al., Sec. 3.1, step 1.
    """
    return TrainingPlan(
        sets=[TrainingSet("labeled", labeled, pretrain.batch_size, catalog, long_side=augmentation.long_side)],
        steps=count_steps(pretrain, images=len(labeled), batch_size=pretrain.batch_size),
        training=training,
        augmentation=augmentation,
        scales=(augmentation.scale_min, augmentation.scale_max),
        seed=seed,
        round_key="0",
    )


def plan_student(
    labeled: Sequence[Sample],
    unlabeled: Sequence[Sample],
    catalog: Catalog,
    student: StudentParams,
    training: TrainingParams,
    augmentation: AugmentationParams,
    strong_views: StrongViewParams,
    *,
    pseudo_labels: Path,
    selected_pixels: int,
    scales: tuple[float, float],
    strength: float,
    seed: int,
    round_key: str,
    depth: int,
) -> TrainingPlan:
    """Plan the student of a round: on labeled and pseudo-labeled images, at the round's own scales.

    Where no pixel was selected, it trains on labeled images alone: the control, which runs at the same number of steps. `depth`
    is the number of rounds of training before this one, pretraining included.

    Reference: He et al., Sec. 3.1, step 3, Eq. 2; Sec. 3.3.
    """
    long_side = augmentation.long_side
    which = strong_views.crops
    labeled_set = TrainingSet(
        "labeled", labeled, student.labeled_batch_size, catalog, long_side=long_side, strong=which != "pseudo_labeled"
    )
    unlabeled_set = TrainingSet(
        "unlabeled", unlabeled, student.unlabeled_batch_size, catalog, pseudo_labels, long_side, strong=which != "labeled"
    )
    return TrainingPlan(
        sets=[labeled_set, unlabeled_set] if selected_pixels else [labeled_set],
        steps=count_steps(student, images=len(unlabeled), batch_size=student.unlabeled_batch_size),
        training=training,
        augmentation=augmentation,
        scales=scales,
        strong_views=strong_views if strong_views.changes_anything and strength > 0 else None,
        strength=strength,
        ema_decay=student.ema_decay,
        seed=seed,
        round_key=round_key,
        rounds_before=depth if student.learning_rate_schedule == "stretch" else 0,
    )
