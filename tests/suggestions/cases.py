"""Rounds on disk, small enough to rank their images by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration.calibrator import CalibratorFile
from pipeline.calibration.none import NoCalibration
from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.solve import solve_class_thresholds
from pipeline.params import StoreParams
from pipeline.samples.sample_lists import Sample, write_samples
from pipeline.selection import Selection
from pipeline.softmax_store.confidences import link_confidences
from pipeline.softmax_store.reader import ConfidenceStore, SoftmaxStore
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from pipeline.suggestions.evidence import Evidence
from tests.softmax_store.cases import CLASS_NAMES, write_pending
from tests.strategies import Maps

SIZES = ((5, 7), (1, 1), (8, 3), (2, 9), (8, 9), (8, 9), (6, 6), (7, 7))


def sure_and_unsure(confidence: float, labels: Sequence[int], size: tuple[int, int] = (4, 4)) -> NDArray[np.float32]:
    """A map of three classes: the first pixels are predicted as `labels`, the rest as class 0, all with one confidence."""
    flat = np.zeros(size[0] * size[1], np.int64)
    flat[: len(labels)] = labels
    probs = np.full((3, flat.size), (1 - confidence) / 2)
    probs[flat, np.arange(flat.size)] = confidence
    return probs.astype(np.float32).reshape(3, *size)


def select(store: ConfidenceStore, priors: Sequence[float], alpha: float, method: str = "dars") -> Selection:
    problem = Problem(
        counts=store.total_counts(),
        values=store.precision.values,
        class_priors=np.array(priors),
        labeling_ratio=alpha,
        equal_pixels=False,
        st_confidence=None,
        thin="all",
    )
    return solve_class_thresholds(method, problem, class_names=store.class_names)


def write_round(
    folder: Path,
    probs: Sequence[NDArray[np.float32]],
    *,
    priors: Sequence[float] = (0.6, 0.1, 0.3),
    alpha: float = 0.4,
    image_ids: Sequence[str] | None = None,
    dtype: str = "float16",
    shard_mib: float = 0.05,
) -> ConfidenceStore:
    """Write `prepared` and `rounds/1` with the project's own writers, of images without files."""
    image_ids = image_ids or [f"image_{index}" for index in range(len(probs))]
    sizes = [(int(image.shape[1]), int(image.shape[2])) for image in probs]
    writer = SoftmaxStoreWriter(
        folder / "softmax",
        image_ids=list(image_ids),
        sizes=sizes,
        class_names=CLASS_NAMES,
        params=StoreParams.model_validate(
            {"average": "probabilities", "dtype": dtype, "floor": 0.0, "keep": "all", "shard_mib": shard_mib}
        ),
        attributes={"teacher_sha256": "abc"},
        url=None,
    )
    write_pending(writer, list(probs), dtype=dtype)
    own = folder / "rounds/1"
    own.mkdir(parents=True)
    link_confidences(own / "confidences.zarr", SoftmaxStore(writer.path))
    store = ConfidenceStore(own / "confidences.zarr")
    select(store, priors, alpha).write(own / "selection.json")
    CalibratorFile(class_names=CLASS_NAMES, calibrator=NoCalibration()).write(own / "calibrator.json")
    names = zip(image_ids, sizes, strict=True)
    unlabeled = [Sample(image_id, *size, Path(f"images/{image_id}.png"), "ab" * 32) for image_id, size in names]
    write_samples(folder / "prepared/unlabeled.tsv", unlabeled)
    write_samples(
        folder / "prepared/labeled.tsv", [Sample("known", 10, 20, Path("known.png"), "ab" * 32, Path("l.png"), "cd" * 32)]
    )
    return store


def evidence_of(maps: Maps, image_ids: Sequence[str]) -> Evidence:
    """What pixels say of images, counted one by one."""
    order = sorted(range(len(image_ids)), key=lambda index: image_ids[index])
    pixels = [maps.pixels(index) for index in order]
    labels = range(maps.num_classes)
    predicted = [[sum(own == label for own, _ in image) for label in labels] for image in pixels]
    right = [[sum(confidence for own, confidence in image if own == label) for label in labels] for image in pixels]
    return Evidence([image_ids[index] for index in order], np.array(predicted), np.array(right, np.float64))
