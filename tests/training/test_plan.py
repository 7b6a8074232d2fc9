import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.params import StrongViewParams, StudentParams
from pipeline.training.plan import TrainingPlan, plan_pretraining, plan_student
from tests.training.cases import CATALOG, PARAMS, draw_sets

STUDENT: StudentParams = PARAMS.student.model_copy(
    update={"epochs": 3, "steps": None, "labeled_batch_size": 4, "unlabeled_batch_size": 2}
)


VIEWS: StrongViewParams = PARAMS.strong_views.model_copy(update={"mix_probability": 0.5})


def student(
    folder: Path,
    *,
    params: StudentParams = STUDENT,
    selected_pixels: int = 7,
    views: StrongViewParams = PARAMS.strong_views,
    strength: float = 1.0,
) -> TrainingPlan:
    labeled, unlabeled = draw_sets(folder)
    return plan_student(
        labeled.samples,
        unlabeled.samples,
        CATALOG,
        params,
        PARAMS.training,
        PARAMS.augmentation,
        views,
        pseudo_labels=folder / "pseudo",
        selected_pixels=selected_pixels,
        scales=(0.5, 3.0),
        strength=strength,
        seed=1,
        round_key="2",
        depth=2,
    )


def test_pretraining_sees_labeled_images_at_the_scales_of_the_section(tmp_path: Path) -> None:
    labeled, _ = draw_sets(tmp_path)
    pretrain = PARAMS.pretrain.model_copy(update={"epochs": 3, "steps": None, "batch_size": 4})
    plan = plan_pretraining(labeled.samples, CATALOG, pretrain, PARAMS.training, PARAMS.augmentation, seed=1)
    assert [(source.name, source.batch_size, source.pseudo_labels) for source in plan.sets] == [("labeled", 4, None)]
    assert (plan.steps, plan.round_key, plan.rounds_before) == (2, "0", 0)
    assert plan.scales == (PARAMS.augmentation.scale_min, PARAMS.augmentation.scale_max)


def test_a_student_sees_labeled_and_pseudo_labeled_images(tmp_path: Path) -> None:
    plan = student(tmp_path)
    assert [(source.name, source.batch_size) for source in plan.sets] == [("labeled", 4), ("unlabeled", 2)]
    assert [source.pseudo_labels for source in plan.sets] == [None, tmp_path / "pseudo"]
    assert plan.scales == (0.5, 3.0)


def test_without_a_selected_pixel_a_student_is_the_control_at_equal_steps(tmp_path: Path) -> None:
    plan = student(tmp_path, selected_pixels=0)
    assert [source.name for source in plan.sets] == ["labeled"]
    assert plan.steps == 5  # three epochs of three unlabeled images, two a step


@pytest.mark.parametrize(("schedule", "rounds_before"), [("restart", 0), ("stretch", 2)])
def test_a_stretched_schedule_goes_on_where_the_rounds_before_ended(tmp_path: Path, schedule: str, rounds_before: int) -> None:
    params = STUDENT.model_copy(update={"learning_rate_schedule": schedule})
    assert student(tmp_path, params=params).rounds_before == rounds_before


CHANGES: dict[str, Any] = {
    "steps": 99,
    "training": PARAMS.training.model_copy(update={"momentum": 0.1}),
    "augmentation": PARAMS.augmentation.model_copy(update={"rotation": 1.0}),
    "scales": (0.1, 9.0),
    "seed": 8,
    "round_key": "9",
    "rounds_before": 3,
    "strong_views": VIEWS,
    "strength": 0.25,
    "ema_decay": 0.9,
}


def test_partial_work_is_known_by_every_part_of_its_plan(tmp_path: Path) -> None:
    plan = student(tmp_path)
    whole = json.dumps(plan.parameters())
    assert {field.name for field in fields(plan)} == {"sets", *CHANGES}
    changed = [replace(plan, **{name: value}) for name, value in CHANGES.items()]
    changed += [replace(plan, sets=plan.sets[:1]), replace(plan, sets=[replace(plan.sets[0], batch_size=9), plan.sets[1]])]
    assert whole not in {json.dumps(other.parameters()) for other in changed}


@pytest.mark.parametrize(
    ("crops", "strong"), [("pseudo_labeled", [False, True]), ("labeled", [True, False]), ("both", [True, True])]
)
def test_the_crops_that_are_named_become_strong_views(tmp_path: Path, crops: str, strong: list[bool]) -> None:
    plan = student(tmp_path, views=VIEWS.model_copy(update={"crops": crops}), strength=0.5)
    assert [source.strong for source in plan.sets] == strong
    assert (plan.strong_views is not None, plan.strength) == (True, 0.5)
    assert json.loads(json.dumps(plan.parameters()))["strong_views"]["crops"] == crops


@pytest.mark.parametrize(("views", "strength"), [(PARAMS.strong_views, 1.0), (VIEWS, 0.0)])
def test_views_that_change_nothing_are_none(tmp_path: Path, views: StrongViewParams, strength: float) -> None:
    assert student(tmp_path, views=views, strength=strength).strong_views is None
