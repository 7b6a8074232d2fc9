"""Who has the files alone learns from the legend what they hold."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.datasets import cityscapes
from pipeline.predictions.legend import write_legend

COLORS = ((10, 20, 30), (200, 100, 0))


def test_the_picture_shows_every_color_and_the_list_every_value(tmp_path: Path) -> None:
    write_legend(tmp_path, name="labels", class_names=("road", "Straße"), colors=COLORS)
    assert json.loads((tmp_path / "legend.json").read_text(encoding="utf-8")) == [
        {"value": 0, "name": "road", "color": [10, 20, 30]},
        {"value": 1, "name": "Straße", "color": [200, 100, 0]},
    ]
    with Image.open(tmp_path / "legend.png") as picture:
        found = {tuple(color) for color in np.asarray(picture).reshape(-1, 3).tolist()}
    assert found > set(COLORS)


def test_a_format_with_values_and_colors_of_its_own_is_told_by_them(tmp_path: Path) -> None:
    names = cityscapes.CLASS_NAMES
    write_legend(tmp_path, name="cityscapes", class_names=names, colors=((0, 0, 0),) * len(names))
    entries = json.loads((tmp_path / "legend.json").read_text())
    assert [entry["value"] for entry in entries] == list(cityscapes.LABEL_IDS)
    assert entries[0] == {"value": 7, "name": "road", "color": [128, 64, 128]}
