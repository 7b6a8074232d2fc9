"""Ids, names and colors of the public data sets against sources that are not ours."""

import numpy as np
from cityscapesscripts.helpers.labels import labels as official

from pipeline.datasets import cityscapes, gta5, scannet, voc
from pipeline.params import Gta5Params
from pipeline.samples.catalog import IGNORE_INDEX

BENCHMARK = {
    1: "wall", 2: "floor", 3: "cabinet", 4: "bed", 5: "chair", 6: "sofa", 7: "table", 8: "door", 9: "window", 10: "bookshelf",
    11: "picture", 12: "counter", 14: "desk", 16: "curtain", 24: "refrigerator", 28: "shower curtain", 33: "toilet", 34: "sink",
    36: "bathtub", 39: "otherfurniture",
}  # fmt: skip
"""ScanNet's benchmark as its documentation lists it."""


def test_cityscapes_ids_names_and_colors_are_those_of_cityscapesscripts() -> None:
    catalog = cityscapes.cityscapes_catalog("cityscapes", "label_ids")
    assert catalog.train_ids == {label.id: label.trainId for label in official if label.id >= 0}
    evaluated = sorted((label for label in official if 0 <= label.trainId < 255), key=lambda label: label.trainId)
    assert list(catalog.class_names) == [label.name for label in evaluated]
    assert list(catalog.colors) == [label.color for label in evaluated]
    by_train_id = cityscapes.cityscapes_catalog("cityscapes", "label_train_ids")
    assert by_train_id.train_ids == {**{index: index for index in range(19)}, 255: 255}


def test_gta5_has_cityscapes_ids_and_license_plates() -> None:
    by_index = gta5._by_index()
    assert by_index.train_ids == {label.id: label.trainId for label in official if label.id >= 0} | {34: IGNORE_INDEX}
    by_color = gta5._by_color()
    for label in official:
        # Pole groups have the color of poles, and license plates that of cars: in colors they cannot be told from them.
        if label.id >= 0 and label.name != "polegroup":
            red, green, blue = label.color
            assert by_color.train_ids[red << 16 | green << 8 | blue] == label.trainId, label.name
    assert by_color.class_names == cityscapes.CLASS_NAMES
    assert Gta5Params(labels="color").labels == "color"


def test_voc_colors_are_those_of_the_development_kit() -> None:
    # VOClabelcolormap.m: for each index, bits 0-2 of what is left go to bit 7-j of red, green and blue, j = 0..7.
    expected = np.zeros((256, 3), int)
    for index in range(256):
        rest = index
        for place in range(8):
            expected[index] |= [((rest >> channel) & 1) << (7 - place) for channel in range(3)]
            rest >>= 3
    assert [voc.palette_color(index) for index in range(256)] == [tuple(row) for row in expected.tolist()]
    assert voc.COLORS[1:4] == ((128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert voc.COLORS[15] == (192, 128, 128), "the pink of persons"
    assert (len(voc.CLASS_NAMES), voc.CLASS_NAMES[0], voc.CLASS_NAMES[15]) == (21, "background", "person")


def test_scannet_classes_are_those_of_its_benchmark() -> None:
    assert [label_id for _, label_id, _ in scannet.CLASSES] == list(BENCHMARK)
    assert [name.replace(" ", "") for name in scannet.CLASS_NAMES] == [name.replace(" ", "") for name in BENCHMARK.values()]
    assert set(scannet.NYU40) == set(range(41))
    for label_id, train_id in scannet.NYU40.items():
        assert train_id == (list(BENCHMARK).index(label_id) if label_id in BENCHMARK else IGNORE_INDEX)
