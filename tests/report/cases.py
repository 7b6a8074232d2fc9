"""A finished experiment on disk, made with the project's own writers and no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.calibration.calibrator import CalibratorFile
from pipeline.calibration.none import NoCalibration
from pipeline.calibration.temperature import Temperature
from pipeline.curve import CurveRow, write_curve
from pipeline.evaluation.metrics import segmentation_metrics
from pipeline.evaluation.segmentation import tail_classes
from pipeline.evaluation.val_curve import ValCurve, ValPoint
from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.solve import solve_class_thresholds
from pipeline.params import EvaluationParams, Params, read_params
from pipeline.report.record import Experiment, read_experiment
from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.class_frequencies import shares_of
from pipeline.samples.images import write_label_png
from pipeline.samples.prior_intervals import PriorIntervals
from pipeline.samples.priors import ClassPriors
from pipeline.samples.sample_lists import Sample, unlabeled_view, write_samples
from pipeline.statistics.describe import describe_round
from pipeline.statistics.judge import PseudoLabelCounts
from pipeline.statistics.regions import measure_regions
from tests.workspace import ROOT

NAMES = ("road", "sky", "pole", "a <b> & $c$")
SIZES = ((8, 12), (12, 6), (8, 12))
BINS = 5


@dataclass
class Case:
    """What to write; `unpredicted` classes are never predicted, `absent` ones neither occur nor are predicted."""

    class_names: Sequence[str] = NAMES
    keys: Sequence[str] = ("1", "2")
    method: str = "dars"
    sizes: Sequence[tuple[int, int]] = SIZES
    truth: bool = True
    calibrated: bool = False
    examples: int = 2
    unpredicted: Sequence[int] = ()
    absent: Sequence[int] = ()
    curve_rows: int = 4
    snapshots: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        return params().model_dump(mode="json", exclude={"runtime"}) | {"method": self.method}

    @property
    def catalog(self) -> Catalog:
        colors = tuple((10 * index, 200, 255 - 10 * index) for index in range(len(self.class_names)))
        train_ids = {index: index for index in range(len(self.class_names))} | {255: IGNORE_INDEX}
        return Catalog(name="toy", class_names=tuple(self.class_names), colors=colors, train_ids=train_ids)


def params() -> Params:
    return read_params(ROOT / "params.yaml")


def evaluation(**changes: Any) -> EvaluationParams:
    return params().evaluation.model_copy(update={"tail_share": 0.2, "tail_classes": None, **changes})


def write_case(folder: Path, case: Case) -> tuple[Path, Path]:
    """Write `prepared` and `rounds` into `folder`."""
    rng = np.random.default_rng(0)
    catalog, count = case.catalog, len(case.class_names)
    prepared, rounds = folder / "prepared", folder / "rounds"
    prepared.mkdir(parents=True)
    catalog.write(prepared / "catalog.json")
    counts = np.arange(count, 0, -1, dtype=np.int64) ** 2
    priors = ClassPriors.build(case.class_names, target=shares_of(counts), labeled=counts, origin="labeled")
    priors.write(prepared / "class_priors.json")
    PriorIntervals.build(case.class_names, counts[None] + np.arange(3)[:, None], rng).write(prepared / "prior_intervals.json")
    lists = {name: [_sample(prepared, f"{name}_{index}", size, catalog, rng) for index, size in enumerate(case.sizes)]
             for name in ("labeled", "unlabeled", "val")}  # fmt: skip
    write_samples(prepared / "unlabeled_truth.tsv", lists["unlabeled"][:-1] if case.truth else [])
    lists["unlabeled"] = [unlabeled_view(sample) for sample in lists["unlabeled"]]
    for name, samples in lists.items():
        write_samples(prepared / f"{name}.tsv", samples)
    tail = tail_classes(case.class_names, shares_of(counts), evaluation())
    for key in ("0", *case.keys):
        round_folder = rounds / key
        confusion = rng.integers(1, 50, (count, count + 1)) + np.eye(count, count + 1, dtype=np.int64) * 10 * int(key)
        confusion[list(case.absent)] = 0
        confusion[:, list(case.absent)] = 0
        metrics = segmentation_metrics(confusion, case.class_names, tail, protocol="as always")
        metrics.write(round_folder / "metrics.json")
        points = [ValPoint(step=step, mean_iou=step / 9, tail_mean_iou=None) for step in range(1, case.snapshots + 1)]
        ValCurve(images=3, points=tuple(points)).write(round_folder / "val_curve.json")
        write_curve(
            round_folder / "curve.tsv",
            [CurveRow(step, 1 / step, 2 / step if key != "0" else 0.0, 0.1) for step in range(1, case.curve_rows + 1)],
        )
        for sample in lists["val"][: case.examples]:
            _labels(round_folder / "examples" / f"{sample.image_id}.png", sample.size, catalog, rng)
        if key != "0":
            _self_train(round_folder, case, counts, rng)
            for sample in lists["unlabeled"]:
                _labels(round_folder / "pseudo_labels" / f"{sample.image_id}.png", sample.size, catalog, rng)
    return prepared, rounds


def read_case(folder: Path, case: Case) -> Experiment:
    """Write a case and read it back."""
    return read_experiment(*write_case(folder, case), case.keys, evaluation())


def _self_train(folder: Path, case: Case, counts: np.ndarray, rng: np.random.Generator) -> None:
    confidences = rng.integers(1, 100, (len(counts), BINS))
    confidences[list(case.unpredicted)] = 0
    priors = shares_of(counts)
    problem = Problem(
        counts=confidences,
        values=np.linspace(0.5, 1, BINS),
        class_priors=priors,
        labeling_ratio=0.5,
        equal_pixels=False,
        st_confidence=None,
        thin="all",
    )
    selection = solve_class_thresholds(case.method, problem, class_names=case.class_names)
    selection.write(folder / "selection.json")
    known = (
        rng.integers(1, 9, (len(counts), len(counts) + 1)) if case.truth else np.zeros((len(counts), len(counts) + 1), np.int64)
    )
    if case.method == "none":
        known[:, :-1] = 0
    labels = rng.integers(0, 4, (20, 20)).astype(np.uint8)
    regions = measure_regions(labels, np.roll(labels, 1), np.where(labels > 1, labels, 255).astype(np.uint8))
    statistics = describe_round(
        selection,
        PseudoLabelCounts(np.array(selection.realized_counts), known, regions),
        dtype="float16",
        counts=confidences,
        values=problem.values,
        ties=np.stack([confidences[:, -1], confidences[:, -1] // 2, np.zeros(len(counts), np.int64)], axis=1),
        labeled_shares=priors,
        frequencies=[(index + 1) / len(counts) for index in range(len(counts))],
        sizes=[0.3 / (index + 1) for index in range(len(counts))],
    )
    statistics.write(folder / "statistics.json")
    diagram = {"accuracy": (None, 0.4, 0.8), "confidence": (None, 0.5, 0.9), "share": (0.0, 0.3, 0.7)}
    calibrated: dict[str, Any] = {"calibrator": NoCalibration()}
    if case.calibrated:
        calibrated = {"calibrator": Temperature(temperature=1.27), "before": diagram, "after": diagram}
    CalibratorFile(class_names=tuple(case.class_names), **calibrated).write(folder / "calibrator.json")


def _sample(folder: Path, image_id: str, size: tuple[int, int], catalog: Catalog, rng: np.random.Generator) -> Sample:
    image, labels = folder / f"{image_id}.png", folder / f"{image_id}_labels.png"
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(image)
    _labels(labels, size, catalog, rng)
    return Sample(image_id, *size, image, "", labels, "")


def _labels(path: Path, size: tuple[int, int], catalog: Catalog, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = rng.integers(0, catalog.num_classes + 1, size).astype(np.uint8)
    labels[labels == catalog.num_classes] = IGNORE_INDEX
    write_label_png(path, labels, catalog.colors)
