"""Regions against a flood fill, and what is counted in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.statistics.regions import measure_regions, no_regions, region_sizes


def flood_sizes(labels: NDArray[np.uint8]) -> list[list[int]]:
    """Walk from every pixel to all that hang together with it."""
    height, width = labels.shape
    sizes = [[0] * width for _ in range(height)]
    seen: set[tuple[int, int]] = set()
    for start in np.ndindex(height, width):
        if start in seen or labels[start] == 255:
            continue
        region, waiting = {start}, [start]
        while waiting:
            row, column = waiting.pop()
            for near in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                inside = 0 <= near[0] < height and 0 <= near[1] < width
                if inside and near not in region and labels[near] == labels[start]:
                    region.add(near)
                    waiting.append(near)
        seen |= region
        for row, column in region:
            sizes[row][column] = len(region)
    return sizes


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 4, 255]))
def test_sizes_are_those_of_a_flood_fill(seed: int, height: int, width: int, classes: int) -> None:
    labels = np.random.default_rng(seed).integers(0, classes, (height, width)).astype(np.uint8)
    labels[np.random.default_rng(seed + 1).random((height, width)) < 0.1] = 255
    assert region_sizes(labels).tolist() == flood_sizes(labels)


def test_pixels_are_counted_by_the_share_of_the_image_that_their_region_has() -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[0, 0] = 1  # a region of 1e-4 of the image
    labels[50, :10] = 2  # 1e-3
    labels[99] = 255
    prediction = labels.copy()
    prediction[0, 0] = 0
    pseudo = np.full_like(labels, 255)
    pseudo[50, :6] = (2, 2, 2, 2, 0, 0)
    pseudo[99] = 1  # counts nowhere: it has no true class
    counts = measure_regions(labels, prediction, pseudo)
    place = {1e-4: 2, 1e-3: 4, 0.9889: 9}
    assert counts.pixels[place[1e-4]] == 1
    assert counts.predicted_right[place[1e-4]] == 0
    assert counts.pixels[place[1e-3]] == counts.predicted_right[place[1e-3]] == 10
    assert counts.pseudo_labeled[place[1e-3]] == 6
    assert counts.pseudo_labeled_right[place[1e-3]] == 4
    assert counts.pixels[place[0.9889]] == 9889
    assert counts.pixels.sum() == 9900
    assert counts.pseudo_labeled.sum() == 6


def test_images_add_up() -> None:
    labels = np.zeros((4, 4), np.uint8)
    one = measure_regions(labels, labels, labels)
    two = no_regions() + one + one
    assert two.pixels.tolist() == [0] * 9 + [32]
    assert two.pseudo_labeled_right.sum() == 32


@pytest.mark.parametrize("labels", [np.full((3, 3), 255, np.uint8), np.array([[7]], np.uint8)])
def test_an_image_of_nothing_or_one_pixel_breaks_nothing(labels: NDArray[np.uint8]) -> None:
    counts = measure_regions(labels, labels, labels)
    assert counts.pixels.sum() == (labels != 255).sum()
