"""Cityscapes, GTA5 and CamVid from their own layouts to the metrics of a round."""

import json
from pathlib import Path

from tests.datasets.layouts import write_camvid, write_cityscapes, write_gta5
from tests.stages.data_sets import read_list, run_experiment


def test_cityscapes_with_its_coarse_images_as_unlabeled_ones(tmp_path: Path) -> None:
    write_cityscapes(tmp_path / "raw", extra=3)
    changes = {"data.name": "cityscapes", "data.root": str(tmp_path / "raw"), "data.cityscapes.train_extra": True}
    metrics = run_experiment(tmp_path / "clone", tmp_path / "raw", {**changes, "data.labeled_fraction": 0.25}, report=True)
    assert "2 val images of cityscapes" in metrics["protocol"]
    assert len(read_list(tmp_path / "clone", "labeled")) == 2
    unlabeled = read_list(tmp_path / "clone", "unlabeled")
    assert [name.split("_")[0] for name in unlabeled].count("augsburg") == 3
    assert len(unlabeled) == 6 + 3
    assert "traffic light" in metrics["iou"]
    truth = (tmp_path / "clone/data/prepared/unlabeled_truth.tsv").read_text().splitlines()[1:-1]
    assert len(truth) == 6, "coarse labels measure nothing"


def test_gta5_to_cityscapes_trains_on_games_and_labels_streets(tmp_path: Path) -> None:
    write_gta5(tmp_path / "raw/gta5", count=6)
    write_cityscapes(tmp_path / "raw/cityscapes", train=6)
    changes = {
        "data.name": "cityscapes", "data.root": str(tmp_path / "raw/cityscapes"), "data.source": "gta5",
        "data.source_root": str(tmp_path / "raw/gta5"), "data.labeled_fraction": 1.0, "data.priors": "val",
    }  # fmt: skip
    metrics = run_experiment(tmp_path / "clone", tmp_path / "raw", changes)
    assert "2 val images of cityscapes" in metrics["protocol"]
    assert read_list(tmp_path / "clone", "labeled") == [f"{index:05d}" for index in range(1, 7)]
    assert len(read_list(tmp_path / "clone", "unlabeled")) == 6
    priors = json.loads((tmp_path / "clone/data/prepared/class_priors.json").read_text())
    assert priors["origin"] == "val"
    assert priors["class_priors"] != priors["labeled_shares"]


def test_camvid_with_images_of_several_sizes_and_a_held_out_video(tmp_path: Path) -> None:
    write_camvid(tmp_path / "raw")
    changes = {"data.name": "camvid", "data.root": str(tmp_path / "raw"), "inference.flip": True}
    windows = {"inference.sliding_window": True, "inference.window_height": 16, "inference.window_width": 24}
    metrics = run_experiment(tmp_path / "clone", tmp_path / "raw", {**changes, **windows})
    assert "3 val images of camvid, own size, windows 16x24 at stride 0.666667, scale 1, with flip" in metrics["protocol"]
    assert all(name.startswith("0006R0") for name in read_list(tmp_path / "clone", "val"))
