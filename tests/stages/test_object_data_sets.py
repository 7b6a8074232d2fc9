"""VOC with SBD, ScanNet and a folder of one's own from their layouts to the metrics of a round."""

from pathlib import Path

from tests.datasets.layouts import write_folder, write_scannet, write_voc
from tests.stages.data_sets import read_list, run_experiment


def test_voc_with_its_own_labeled_set_and_sbd_as_unlabeled_images(tmp_path: Path) -> None:
    write_voc(tmp_path / "raw")
    changes = {"data.name": "voc", "data.root": str(tmp_path / "raw"), "data.labeled_fraction": None}
    metrics = run_experiment(tmp_path / "clone", tmp_path / "raw", changes)
    assert "3 val images of voc" in metrics["protocol"]
    assert read_list(tmp_path / "clone", "labeled") == [f"2007_{index:06d}" for index in range(4)]
    assert len(read_list(tmp_path / "clone", "unlabeled")) == 6


def test_scannet_with_raw_ids_and_labels_at_their_own_resolution(tmp_path: Path) -> None:
    write_scannet(tmp_path / "raw", raw=True)
    changes = {"data.name": "scannet", "data.root": str(tmp_path / "raw"), "data.scannet.labels": "raw"}
    metrics = run_experiment(tmp_path / "clone", tmp_path / "raw", changes)
    assert "3 val images of scannet" in metrics["protocol"]
    assert {name.split("_")[0] for name in read_list(tmp_path / "clone", "val")} == {"scene0003"}


def test_a_folder_of_ones_own_with_colored_labels_and_names_of_all_kinds(tmp_path: Path) -> None:
    write_folder(tmp_path / "raw", color=True)
    changes = {"data.name": "folder", "data.root": str(tmp_path / "raw"), "data.labeled_fraction": 1.0}
    metrics = run_experiment(tmp_path / "clone", tmp_path / "raw", changes, report=True)
    assert "2 val images of raw" in metrics["protocol"]
    assert set(metrics["iou"]) == {"sky", "road", "car"}
    assert len(read_list(tmp_path / "clone", "labeled")) == 6
    assert len(read_list(tmp_path / "clone", "unlabeled")) == 4
