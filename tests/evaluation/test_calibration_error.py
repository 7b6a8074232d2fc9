"""ECE, classwise ECE and NLL against the definition, pixel by pixel."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.evaluation.calibration_error import (
    NUM_BINS,
    calibration_errors,
    measure_reliability,
    reliability_diagram,
    sum_reliability,
)


def image(seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    weights = rng.random((4, 9, 11)) ** 6 + 1e-6
    labels = rng.integers(0, 4, (9, 11)).astype(np.uint8)
    labels[rng.random((9, 11)) < 0.2] = 255
    return (weights / weights.sum(axis=0)).astype(np.float32), labels


def slow_ece(values: list[float], hits: list[bool]) -> float:
    total = 0.0
    for place in range(NUM_BINS):
        inside = [index for index, value in enumerate(values) if min(int(value * NUM_BINS), NUM_BINS - 1) == place]
        if inside:
            accuracy = sum(hits[index] for index in inside) / len(inside)
            confidence = sum(values[index] for index in inside) / len(inside)
            total += len(inside) / len(values) * abs(accuracy - confidence)
    return total


def test_errors_are_those_of_the_definition_whatever_the_number_of_images() -> None:
    images = [image(seed) for seed in range(5)]
    total = sum_reliability((measure_reliability(probs, labels, ignore_index=255) for probs, labels in images), 4)
    pixels = [
        (probs[:, row, column].astype(float).tolist(), int(labels[row, column]))
        for probs, labels in images
        for row in range(9)
        for column in range(11)
        if labels[row, column] != 255
    ]
    errors = calibration_errors(total)
    assert errors["ece"] == pytest.approx(
        slow_ece([max(probs) for probs, _ in pixels], [probs.index(max(probs)) == label for probs, label in pixels])
    )
    by_class = [slow_ece([probs[one] for probs, _ in pixels], [label == one for _, label in pixels]) for one in range(4)]
    assert errors["classwise_ece"] == pytest.approx(sum(by_class) / 4)
    assert errors["nll"] == pytest.approx(sum(-math.log(probs[label]) for probs, label in pixels) / len(pixels))


def test_a_certain_and_right_network_has_no_error() -> None:
    labels = image(0)[1]
    probs = np.eye(4, dtype=np.float32)[np.where(labels == 255, 0, labels)].transpose(2, 0, 1)
    total = measure_reliability(probs, labels, ignore_index=255)
    assert calibration_errors(total) == {"ece": 0.0, "classwise_ece": 0.0, "nll": 0.0}
    assert reliability_diagram(total)["accuracy"] == (None,) * (NUM_BINS - 1) + (1.0,)


def test_a_certain_and_wrong_network_has_the_largest_error_and_a_finite_loss() -> None:
    probs = np.zeros((2, 3, 3), np.float16)
    probs[0] = 1
    errors = calibration_errors(measure_reliability(probs, np.ones((3, 3), np.uint8), ignore_index=255))
    assert errors["ece"] == 1.0
    assert errors["nll"] == pytest.approx(24 * math.log(2))


def test_an_image_without_a_class_counts_nothing() -> None:
    empty = measure_reliability(image(0)[0], np.full((9, 11), 255, np.uint8), ignore_index=255)
    assert empty.counts.sum() == 0
    diagram = reliability_diagram(sum_reliability([empty], 4))
    assert diagram["confidence"] == (None,) * NUM_BINS
    assert diagram["share"] == (0.0,) * NUM_BINS
