"""The confidences of a round: linked, calibrated, in both precisions, and refused where damaged."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.calibration.temperature import Temperature
from pipeline.softmax_store.arrays import CONFIDENCE_ARRAYS
from pipeline.softmax_store.confidences import calibrate_confidences, link_confidences
from pipeline.softmax_store.quantized_map import precision_of
from pipeline.softmax_store.reader import ConfidenceStore, SoftmaxStore
from tests.softmax_store.cases import CLASS_NAMES, SIZES, digests, entry, open_writer, street_probs, write_pending


@pytest.fixture(params=["float16", "float32"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SoftmaxStore:
    writer = open_writer(tmp_path / "infer", dtype=request.param)
    write_pending(writer, street_probs(), dtype=request.param)
    return SoftmaxStore(writer.path)


def identity(probs: NDArray[np.floating]) -> NDArray[np.float32]:
    return probs.astype(np.float32)


def test_linked_confidences_are_those_of_the_softmax_store_and_take_no_room(store: SoftmaxStore, tmp_path: Path) -> None:
    link_confidences(tmp_path / "confidences.zarr", store)
    linked = ConfidenceStore(tmp_path / "confidences.zarr")
    assert (linked.image_ids, linked.class_names, linked.precision) == (store.image_ids, store.class_names, store.precision)
    for index in range(len(SIZES)):
        assert np.array_equal(linked.prediction(index), store.prediction(index))
        assert np.array_equal(linked.confidence(index), store.confidence(index))
    assert np.array_equal(linked.total_counts(), store.total_counts())
    files = [file for file in (tmp_path / "confidences.zarr").rglob("*") if file.is_file() and "c" in file.parts]
    assert files
    assert all(file.stat().st_nlink == 2 for file in files)


def test_without_hard_links_the_files_are_copied(store: SoftmaxStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    link_confidences(tmp_path / "linked", store)
    monkeypatch.setattr(os, "link", refuse)
    link_confidences(tmp_path / "copied", store)
    assert digests(tmp_path / "copied") == digests(tmp_path / "linked")


@pytest.mark.parametrize("workers", [1, 3])
def test_calibrating_with_nothing_writes_the_bytes_of_linking(store: SoftmaxStore, tmp_path: Path, workers: int) -> None:
    link_confidences(tmp_path / "linked", store)
    quantize = partial(entry, dtype=store.precision.dtype)
    done = list(calibrate_confidences(tmp_path / "calibrated", store, identity, quantize, workers=workers))
    assert done == [rows.stop for rows in store.shards]
    assert digests(tmp_path / "calibrated") == digests(tmp_path / "linked")


def test_calibrated_confidences_are_the_largest_calibrated_probabilities(store: SoftmaxStore, tmp_path: Path) -> None:
    temperature = Temperature(temperature=1.7)
    quantize = partial(entry, dtype=store.precision.dtype)
    done = calibrate_confidences(tmp_path / "calibrated", store, temperature.calibrate, quantize, workers=2)
    assert len(list(done)) == len(store.shards)
    calibrated = ConfidenceStore(tmp_path / "calibrated")
    for index in range(len(SIZES)):
        stored = np.log(np.maximum(store.softmax(index).astype(float), 2.0**-24)) / 1.7
        weights = np.exp(stored - stored.max(axis=0))
        expected = (weights / weights.sum(axis=0)).max(axis=0)
        np.testing.assert_allclose(calibrated.confidence(index).astype(float), expected, rtol=1e-3)
        assert np.array_equal(calibrated.prediction(index), store.prediction(index))
        assert calibrated.counts_of(range(index, index + 1)).sum() == expected.size


def test_finer_counts_tell_values_apart_that_share_a_column(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, dtype="float32")
    write_pending(writer, street_probs(), dtype="float32")
    store = SoftmaxStore(writer.path)
    precision = precision_of("float32", len(CLASS_NAMES))
    for index in range(len(SIZES)):
        counts = store.counts_of(range(index, index + 1))[0]
        columns = counts.argmax(axis=1)
        finer = store.finer_counts(index, columns)
        assert finer.sum(axis=1).tolist() == counts[np.arange(len(CLASS_NAMES)), columns].tolist()
        bits = store.confidence(index).view(np.uint32)
        for label in range(len(CLASS_NAMES)):
            for end in np.flatnonzero(finer[label]).tolist():
                pattern = (int(columns[label] + precision.lowest) << precision.shift) + end
                assert int(((bits == pattern) & (store.prediction(index) == label)).sum()) == finer[label, end]


def test_a_float32_store_keeps_what_float16_rounds_away(tmp_path: Path) -> None:
    probs = np.array([0.99999, 0.99998, 1.0 + 5e-6, 0.6], np.float32)
    both = np.stack([probs, np.maximum(1 - probs, 0)])[:, None]
    kept = entry(both, dtype="float32")
    assert kept.confidence.tolist() == [[float(np.float32(0.99999)), float(np.float32(0.99998)), 1.0, float(np.float32(0.6))]]
    assert (entry(both).confidence == 1).sum() == 3
    assert precision_of("float32", 2).values[-1] == 1.0
    assert kept.counts[0, -1] == 1
    assert kept.counts.sum() == 4


@pytest.mark.parametrize("name", CONFIDENCE_ARRAYS)
def test_a_lost_file_is_an_error_that_names_the_stage(store: SoftmaxStore, tmp_path: Path, name: str) -> None:
    link_confidences(tmp_path / "confidences.zarr", store)
    next(file for file in (tmp_path / "confidences.zarr" / name / "c").rglob("*") if file.is_file()).unlink()

    def read_everything() -> None:
        damaged = ConfidenceStore(tmp_path / "confidences.zarr")
        damaged.total_counts()
        for index in range(len(SIZES)):
            damaged.prediction(index)
            damaged.confidence(index)

    with pytest.raises(ValueError, match=r"expected a whole confidence store - found .* run the stage `calibrate`"):
        read_everything()


def test_a_softmax_store_is_no_confidence_store(store: SoftmaxStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected dars-confidence-store version 4 - found .*dars-softmax-store"):
        ConfidenceStore(store.path)
