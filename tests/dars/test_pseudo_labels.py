"""DARS on softmax maps in memory: the bytes of the pipeline's own path, and what sorting finds."""

import inspect
import subprocess
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import dars
from dars.softmax import count_confidences, round_maps
from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.draw_round import draw_round
from pipeline.labeling.refine import solve_round
from pipeline.labeling.solve import METHODS
from pipeline.machine.process_group import ProcessGroup
from pipeline.params import read_params
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.selection import Selection
from pipeline.softmax_store.confidences import link_confidences
from pipeline.softmax_store.quantized_map import precision_of
from pipeline.softmax_store.reader import ConfidenceStore, SoftmaxStore
from tests import reference
from tests.softmax_store.cases import CLASS_NAMES, entry, open_writer, write_pending
from tests.strategies import class_priors, labeling_ratios, make_probs, softmax_maps
from tests.workspace import ROOT

FloatType = Literal["float16", "float32"]
SIZES = ((9, 14), (1, 1), (20, 6), (11, 11))
PRIORS = np.array([0.5, 0.2, 0.3])
COLORS = ((0, 0, 0), (255, 0, 0), (0, 255, 0))
VARIANTS: dict[str, dict[str, Any]] = {
    **{method: {"method": method} for method in METHODS},
    "dars ties": {"method": "dars", "thin": "ties"},
    "cbst equal": {"method": "cbst", "equal_pixels": True},
    "st fixed": {"method": "st", "st_confidence": 0.7},
    "da all": {"method": "da", "alpha": 1.0},
}


def street_maps() -> list[NDArray[np.float32]]:
    """Half of the maps tie at a handful of confidences, half have none twice."""
    rng = np.random.default_rng(3)
    tied = [make_probs(rng, size, len(CLASS_NAMES), (0, 2)) for size in SIZES[:2]]
    smooth = [rng.dirichlet((0.4, 0.4, 0.4), size).transpose(2, 0, 1).astype(np.float32) for size in SIZES[2:]]
    return [*tied, *smooth]


def by_the_pipeline(
    folder: Path, maps: Sequence[NDArray[np.float32]], dtype: FloatType, *, seed: int, **given: Any
) -> tuple[Selection, list[NDArray[np.uint8]], tuple[str, ...]]:
    """Write a store of the maps, link its confidences, solve and draw, as the stages do, and read the PNGs."""
    writer = open_writer(folder / "softmax", SIZES, dtype=dtype)
    write_pending(writer, maps, dtype=dtype)
    link_confidences(folder / "confidences", SoftmaxStore(writer.path))
    store = ConfidenceStore(folder / "confidences")
    choice = {"alpha": 0.4, "thin": "all", "equal_pixels": False, "st_confidence": None, **given}
    problem = Problem(
        counts=store.total_counts(),
        values=store.precision.values,
        class_priors=PRIORS,
        labeling_ratio=choice["alpha"],
        equal_pixels=choice["equal_pixels"],
        st_confidence=choice["st_confidence"],
        thin=choice["thin"],
    )
    solved = solve_round(store, choice["method"], problem, workers=1, progress=lambda items, **_: items)
    draw_round(
        store, solved, folder / "labels", colors=COLORS, seed=seed, round_key="2", group=ProcessGroup(0, 1), workers=1,
        progress=lambda items, **_: items,
    )  # fmt: skip
    drawn = []
    for image_id in store.image_ids:
        with Image.open(folder / f"labels/{image_id}.png") as picture:
            drawn.append(np.asarray(picture))
    return solved, drawn, store.image_ids


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_selection_and_labels_are_those_of_the_stages(variant: str, dtype: FloatType, tmp_path: Path) -> None:
    given = VARIANTS[variant]
    maps = street_maps()
    solved, drawn, image_ids = by_the_pipeline(tmp_path, maps, dtype, seed=5, **given)
    ours = dars.thresholds(maps, PRIORS, precision=dtype, class_names=CLASS_NAMES, **{"alpha": 0.4, **given})
    assert ours == solved
    labels = list(dars.labels(maps, ours, image_ids=image_ids, seed=5, round_key="2", precision=dtype))
    assert [image.tobytes() for image in labels] == [image.tobytes() for image in drawn]
    assert [image.shape for image in labels] == list(SIZES)
    assert all(image.dtype == np.uint8 for image in labels)


def slow_pixels(probs: NDArray[np.float32], dtype: FloatType) -> list[tuple[int, float]]:
    """Class and confidence of every pixel, one after the other."""
    columns = probs.astype(dtype).reshape(len(probs), -1).T
    return [(int(np.argmax(column)), float(column.max())) for column in columns]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_selection_and_labels_are_those_of_sorting(method: Any, dtype: FloatType, data: st.DataObject) -> None:
    maps = data.draw(softmax_maps())
    priors, alpha = data.draw(class_priors(maps.num_classes)), data.draw(labeling_ratios())
    pixels = [slow_pixels(probs, dtype) for probs in maps.probs]
    by_class = [[value for image in pixels for own, value in image if own == label] for label in range(maps.num_classes)]
    expected = reference.solve(method, by_class, priors.tolist(), alpha=alpha)
    shares = [Fraction(q) for q in expected.qualifying] if method == "st" else [Fraction(prior) for prior in priors.tolist()]
    assume(reference.is_decided(sum(expected.targets), shares))
    solved = dars.thresholds(
        iter(maps.probs) if dtype == "float16" else maps.probs, priors, alpha=alpha, method=method, precision=dtype
    )
    assert list(solved.targets) == expected.targets
    assert list(solved.qualifying_counts) == expected.qualifying
    assert list(solved.realized_counts) == expected.realized
    labeled = [0] * maps.num_classes
    for image, seen in zip(dars.labels(maps.probs, solved, precision=dtype), pixels, strict=True):
        for label, (predicted, confidence) in zip(image.ravel().tolist(), seen, strict=True):
            threshold = expected.thresholds[predicted]
            assert label == IGNORE_INDEX or (label == predicted and threshold is not None and confidence >= threshold)
            labeled[predicted] += label != IGNORE_INDEX
    assert labeled == expected.realized


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_maps_are_rounded_and_counted_as_infer_does(dtype: FloatType) -> None:
    above = np.array([1.000005, 0.0, -0.0], np.float32)[:, None, None]
    for probs in [*street_maps(), above]:
        precision = precision_of(dtype, 3)
        [rounded] = round_maps([probs], precision, 3)
        stored = entry(probs, dtype=dtype)
        assert rounded.prediction.tobytes() == stored.prediction.tobytes()
        assert rounded.confidence.tobytes() == stored.confidence.tobytes()
        assert np.array_equal(count_confidences(rounded, precision, 3), stored.counts)


def test_pixel_counts_are_shares_and_other_kinds_of_arrays_are_taken() -> None:
    maps = street_maps()
    solved = dars.thresholds(maps, [5, 2, 3], alpha=0.3)
    assert solved == dars.thresholds([probs.tolist() for probs in maps], PRIORS.tolist(), alpha=0.3)
    assert solved == dars.thresholds([np.asfortranarray(probs).astype(np.float64) for probs in maps], PRIORS, alpha=0.3)
    assert solved.class_names == ("0", "1", "2")


def test_another_seed_or_round_draws_other_pixels_and_as_many() -> None:
    maps = street_maps()
    solved = dars.thresholds(maps, PRIORS, alpha=0.3)
    drawn = [
        np.concatenate([image.ravel() for image in dars.labels(maps, solved, **key)])
        for key in ({}, {"seed": 1}, {"round_key": "2"})
    ]
    assert all((drawn[0] != other).any() for other in drawn[1:])
    assert {tuple(np.bincount(one, minlength=256)[:3]) for one in drawn} == {solved.realized_counts}


def test_one_map_at_a_time_is_held() -> None:
    class Reads:
        held = most = 0

        def __iter__(self) -> Iterator[NDArray[np.float32]]:
            for probs in street_maps():
                yield probs
                self.held += 1

    reads = Reads()
    solved = dars.thresholds(reads, PRIORS, alpha=0.3)
    labels = dars.labels(reads, solved)
    before = reads.held
    next(labels)
    assert reads.held == before, "the second map is not read before it is labeled"


def test_defaults_are_those_of_the_parameters() -> None:
    params = read_params(ROOT / "params.yaml")
    defaults = {
        name: parameter.default
        for function in (dars.thresholds, dars.labels)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    assert defaults["alpha"] is inspect.Parameter.empty
    assert defaults["method"] == params.method
    assert defaults["thin"] == params.dars.thin
    assert defaults["equal_pixels"] == params.equal_pixels
    assert defaults["st_confidence"] == params.st_confidence
    assert defaults["precision"] == params.softmax_store.dtype
    assert defaults["seed"] == params.seed
    assert defaults["round_key"] == min(params.rounds)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_nobody_waits_for_torch(dtype: str) -> None:
    code = f"""
import sys
absent = ["torch", "torchvision", "safetensors", "timm", "click", "dvc", "PIL", "matplotlib"]
absent += ["zarr"] if {dtype!r} == "float16" else []
sys.modules.update(dict.fromkeys(absent))  # a place that holds None is a module that is not there
import numpy as np
import dars
maps = [np.full((2, 3, 4), 0.5)]
solved = dars.thresholds(maps, [1, 1], alpha=0.5, precision={dtype!r})
assert (next(dars.labels(maps, solved, precision={dtype!r})) == 0).sum() == 3
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def thresholds_of(maps: Any = None, priors: Any = PRIORS, **options: Any) -> Selection:
    return dars.thresholds(street_maps() if maps is None else maps, priors, **{"alpha": 0.4, **options})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"alpha": 0.0}, "alpha - expected a labeling ratio above 0, at most 1 - found 0.0 - "),
        ({"alpha": float("nan")}, "alpha - expected"),
        ({"method": "best"}, "method - expected one of none, st, cbst, da, dars - found best - "),
        ({"thin": "some"}, "thin - expected all or ties - found some - "),
        ({"st_confidence": 1.5}, "st_confidence - expected a probability"),
        ({"precision": "float64"}, "precision - expected float16 or float32 - found float64 - "),
        ({"class_names": ["a"]}, "class_names - expected one for each of 3 priors - found 1 - "),
        ({"priors": [1.0]}, "priors - expected (C,), shares or pixel counts of 2 to 255 classes - found (1,) - "),
        ({"priors": [1, -1, 1]}, "priors - expected values of 0 or more, not all 0 - found [1.0, -1.0, 1.0] - "),
        ({"priors": [0, 0, 0]}, "priors - expected values of 0 or more"),
        ({"priors": [1, float("nan"), 1]}, "priors - expected values of 0 or more"),
        ({"maps": []}, "softmax - expected maps to label - found none - "),
        ({"maps": [np.ones((2, 4, 4)) / 2]}, "softmax map 0 - expected (3, H, W), a class for each prior - found (2, 4, 4) - "),
        ({"maps": [np.ones((3, 0, 4)) / 3]}, "softmax map 0 - expected (3, H, W)"),
        (
            {"maps": [np.zeros((3, 4, 4))]},
            "softmax map 0 - expected probabilities that sum to 1 - found pixels that sum to 0 to 0 - ",
        ),
        ({"maps": [np.full((3, 4, 4), 2.0)]}, "softmax map 0 - expected finite probabilities in [0, 1] - found 2 to 2 - "),
        ({"maps": [np.full((3, 4, 4), np.nan)]}, "softmax map 0 - expected finite probabilities"),
        ({"maps": iter([]), "precision": "float32"}, "softmax - expected maps that can be gone through twice"),
    ],
)
def test_what_a_caller_can_get_wrong_is_one_line(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=r" - expected ") as error:
        thresholds_of(**given)
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", ["dars", "cbst"])
def test_labels_of_other_maps_are_one_line(method: str) -> None:
    maps = street_maps()
    solved = thresholds_of(method=method)
    for wrong, options in (
        (maps[1:], {}),
        (maps, {"image_ids": ["a", "b"]}),
        (maps, {"image_ids": ["a", "a", "b", "c"]}),
        ((probs for probs in maps), {}),
        ([], {}),
    ):
        with pytest.raises(ValueError, match=r"^(softmax|image_ids) - expected .* - found .* - ") as error:
            dars.labels(wrong, solved, **options)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", ["dars", "da", "cbst", "st"])
def test_labels_of_a_precision_that_does_not_tell_pixels_apart_are_one_line(method: str) -> None:
    confident = np.linspace(0.9, 0.9001, 40, dtype=np.float32).reshape(1, 5, 8)
    maps = [np.concatenate([confident, 1 - confident])]
    solved = thresholds_of(maps, [9, 1], method=method, precision="float32")
    assert solved.realized_counts == ((14 if method in {"dars", "da"} else 16), 0)
    assert list(np.bincount(next(dars.labels(maps, solved, precision="float32")).ravel())[:1]) == [solved.realized_counts[0]]
    with pytest.raises(ValueError, match=r"^softmax - expected the maps .* - give the same maps and the same precision$"):
        dars.labels(maps, solved)
