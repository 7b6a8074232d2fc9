from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.machine.device_group import DeviceGroup
from pipeline.models.normalization import IMAGENET
from pipeline.params import AugmentationParams, StrongViewParams
from pipeline.samples.sample_lists import Sample
from pipeline.training.batches import Batch, Crops, epoch_order, load_batches
from pipeline.training.plan import TrainingPlan
from pipeline.training.shared_memory import fit_loader
from pipeline.training.training_set import TrainingSet
from tests.training.cases import ALONE, CATALOG, PARAMS, draw_sets


@pytest.fixture
def augmentation() -> AugmentationParams:
    return PARAMS.augmentation.model_copy(update={"crop_height": 8, "crop_width": 12})


@pytest.fixture
def sets(tmp_path: Path) -> list[TrainingSet]:
    return draw_sets(tmp_path)


def batches(
    sets: list[TrainingSet],
    augmentation: AugmentationParams,
    *,
    first: int = 0,
    steps: int = 4,
    workers: int = 0,
    cache_bytes: int = 0,
    group: DeviceGroup = ALONE,
    views: StrongViewParams | None = None,
    strength: float = 1.0,
) -> list[Batch]:
    plan = TrainingPlan(
        sets=sets,
        steps=steps,
        training=PARAMS.training,
        augmentation=augmentation,
        scales=(0.5, 2.0),
        seed=1,
        round_key="1",
        strong_views=views,
        strength=strength,
    )
    loader = fit_loader(workers, crops=1, crop_pixels=1, free=None)
    return list(
        load_batches(Crops(plan, normalization=IMAGENET, cache_bytes=cache_bytes), first_step=first, loader=loader, group=group)
    )


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for left, right in zip(one, other, strict=True)
        for pair, twin in zip(left, right, strict=True)
        for a, b in zip(pair, twin, strict=True)
    )


def test_a_batch_has_a_part_for_every_set(sets: list[TrainingSet], augmentation: AugmentationParams) -> None:
    first = batches(sets, augmentation)[0]
    assert [tuple(images.shape) for images, _ in first] == [(3, 3, 8, 12), (2, 3, 8, 12)]
    assert [tuple(labels.shape) for _, labels in first] == [(3, 8, 12), (2, 8, 12)]


def test_a_later_start_gives_the_same_batches(sets: list[TrainingSet], augmentation: AugmentationParams) -> None:
    assert same(batches(sets, augmentation, first=2), batches(sets, augmentation)[2:])


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(sets: list[TrainingSet], augmentation: AugmentationParams, workers: int) -> None:
    assert same(batches(sets, augmentation, workers=workers), batches(sets, augmentation))


BYTES = 5 * 16 * 20 * 4


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_images_that_are_kept_decoded_give_the_same_batches(
    sets: list[TrainingSet], augmentation: AugmentationParams, workers: int
) -> None:
    kept = batches(sets, augmentation, steps=8, workers=workers, cache_bytes=BYTES)
    assert same(kept, batches(sets, augmentation, steps=8))


def test_every_image_is_decoded_once_where_all_fit_and_anew_where_they_do_not(
    sets: list[TrainingSet], augmentation: AugmentationParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    read = TrainingSet.read

    def count(self: TrainingSet, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        decoded.append(sample.image_id)
        return read(self, sample)

    monkeypatch.setattr(TrainingSet, "read", count)
    batches(sets, augmentation, steps=8, cache_bytes=BYTES)
    assert sorted(decoded) == [f"s{index}" for index in range(5)]
    decoded.clear()
    batches(sets, augmentation, steps=8, cache_bytes=BYTES - 1)
    assert len(decoded) == 8 * 5


def test_processes_share_the_batch_of_one(sets: list[TrainingSet], augmentation: AugmentationParams) -> None:
    even = [replace(sets[0], batch_size=4), sets[1]]
    whole = batches(even, augmentation)
    parts = [batches(even, augmentation, group=DeviceGroup(rank, 2, torch.device("cpu"))) for rank in range(2)]
    joined = [
        [(torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])) for a, b in zip(one, other, strict=True)]
        for one, other in zip(*parts, strict=True)
    ]
    assert same(joined, whole)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(sets: list[TrainingSet], augmentation: AugmentationParams) -> None:
    with pytest.raises(ValueError, match="expected a multiple of 2 processes - found 3"):
        batches(sets, augmentation, group=DeviceGroup(0, 2, torch.device("cpu")))


def test_an_epoch_visits_every_image_once() -> None:
    assert sorted(epoch_order(7, 0, "1", "unlabeled", 3).tolist()) == list(range(7))
    assert epoch_order(7, 0, "1", "unlabeled", 3).tolist() != epoch_order(7, 0, "1", "unlabeled", 4).tolist()


def test_pseudo_labels_take_the_place_of_label_files(sets: list[TrainingSet], augmentation: AugmentationParams) -> None:
    # The samples of the second set do have label files, and they must not be read: every pseudo label is 255.
    assert all((batch[1][1] == 255).all() for batch in batches(sets, augmentation))
    assert any((batch[0][1] != 255).any() for batch in batches(sets, augmentation))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_one_line_that_names_it(
    sets: list[TrainingSet], augmentation: AugmentationParams, workers: int
) -> None:
    damaged = sets[0].samples[1].image
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(ValueError, match="replace the damaged file") as caught:
        batches(sets, augmentation, workers=workers)
    assert str(damaged) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_set_of_one_image_fills_every_batch(sets: list[TrainingSet], augmentation: AugmentationParams) -> None:
    one = TrainingSet("unlabeled", sets[1].samples[:1], 4, CATALOG, sets[1].pseudo_labels)
    assert [len(batch[0][0]) for batch in batches([one], augmentation)] == [4, 4, 4, 4]


STRONG = PARAMS.strong_views.model_copy(
    update={
        "color_probability": 0.8,
        "grayscale_probability": 0.2,
        "blur_probability": 0.5,
        "mix_probability": 0.7,
    }
)
MIXES = [STRONG, STRONG.model_copy(update={"mix": "classmix", "mix_from": "labeled"})]


@pytest.fixture
def strong_sets(sets: list[TrainingSet]) -> list[TrainingSet]:
    return [replace(sets[0], batch_size=4), replace(sets[1], strong=True)]


@pytest.mark.parametrize("views", MIXES, ids=["cutmix", "classmix"])
def test_strong_views_are_those_of_their_place_whatever_reads_them(
    strong_sets: list[TrainingSet], augmentation: AugmentationParams, views: StrongViewParams
) -> None:
    whole = batches(strong_sets, augmentation, steps=6, views=views)
    assert same(batches(strong_sets, augmentation, steps=6, views=views, workers=2, cache_bytes=BYTES), whole)
    assert same(batches(strong_sets, augmentation, first=3, steps=6, views=views), whole[3:])
    parts = [
        batches(strong_sets, augmentation, steps=6, views=views, group=DeviceGroup(rank, 2, torch.device("cpu")))
        for rank in range(2)
    ]
    for one, other, joined in zip(*parts, whole, strict=True):
        for a, b, both in zip(one, other, joined, strict=True):
            assert torch.equal(torch.cat([a[0], b[0]]), both[0])
            assert torch.equal(torch.cat([a[1], b[1]]), both[1])


@pytest.mark.parametrize("views", MIXES, ids=["cutmix", "classmix"])
def test_strong_views_leave_the_crops_of_other_sets_as_they_are(
    strong_sets: list[TrainingSet], augmentation: AugmentationParams, views: StrongViewParams
) -> None:
    plain, strong = (batches(strong_sets, augmentation, steps=6, views=each) for each in (None, views))
    for before, after in zip(plain, strong, strict=True):
        assert same([before[:1]], [after[:1]])
        assert not torch.equal(before[1][0], after[1][0])


def test_colors_and_blur_change_no_label(strong_sets: list[TrainingSet], augmentation: AugmentationParams) -> None:
    views = STRONG.model_copy(update={"mix_probability": 0.0})
    for before, after in zip(batches(strong_sets, augmentation), batches(strong_sets, augmentation, views=views), strict=True):
        assert torch.equal(before[1][1], after[1][1])


def test_at_strength_0_nothing_is_changed(strong_sets: list[TrainingSet], augmentation: AugmentationParams) -> None:
    assert same(batches(strong_sets, augmentation, views=STRONG, strength=0.0), batches(strong_sets, augmentation))
