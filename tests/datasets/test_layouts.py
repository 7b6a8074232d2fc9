"""Every data set in the layout of its archives: found, read to the train ids that went in, and told when a part is missing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.check import check_samples
from pipeline.datasets.data_set import DataSet
from pipeline.datasets.find import find_data_set
from pipeline.datasets.prepare import prepare_data_set
from pipeline.params import DataParams, read_params
from pipeline.samples.images import read_image, read_labels
from tests.datasets.layouts import (
    Labels,
    save,
    write_camvid,
    write_cityscapes,
    write_folder,
    write_gta5,
    write_scannet,
    write_voc,
)
from tests.workspace import ROOT


def data(root: Path, name: str, **section: object) -> DataParams:
    params = read_params(ROOT / "params.yaml").data
    own = getattr(params, name, None)
    changes = {} if own is None else {name: own.model_copy(update=section)}
    return params.model_copy(update={"name": name, "root": str(root), **changes})


def find(root: Path, name: str, **section: object) -> DataSet:
    return find_data_set(data(root, name, **section), drawn=root / "drawn", workers=1)


LAYOUTS: dict[str, tuple[str, dict[str, object], Callable[[Path], dict[str, Labels]], tuple[int, int]]] = {
    "cityscapes": ("cityscapes", {}, write_cityscapes, (8, 2)),
    "cityscapes train ids": (
        "cityscapes",
        {"labels": "label_train_ids"},
        lambda root: write_cityscapes(root, train_ids=True),
        (8, 2),
    ),
    "voc with sbd": ("voc", {}, write_voc, (10, 3)),
    "voc with png copies": (
        "voc",
        {"augmentation": "segmentation_class_aug"},
        lambda root: write_voc(root, augmentation="segmentation_class_aug"),
        (10, 3),
    ),
    "voc alone": ("voc", {"augmentation": "none"}, lambda root: write_voc(root, augmentation="none"), (4, 3)),
    "scannet": ("scannet", {}, write_scannet, (9, 3)),
    "scannet raw": ("scannet", {"labels": "raw"}, lambda root: write_scannet(root, raw=True), (9, 3)),
    "scannet small labels": ("scannet", {}, lambda root: write_scannet(root, small_labels=True), (9, 3)),
    "gta5": ("gta5", {}, write_gta5, (6, 0)),
    "gta5 colors": ("gta5", {"labels": "color"}, lambda root: write_gta5(root, color=True), (6, 0)),
    "camvid": ("camvid", {"val_sequence": "0006R0"}, write_camvid, (12, 3)),
    "folder": ("folder", {}, write_folder, (12, 0)),
    "folder colors": ("folder", {}, lambda root: write_folder(root, color=True), (12, 0)),
}
"""Name, its own section, what writes it, and the numbers of train and validation images."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_label_file_is_found_and_reads_to_the_train_ids_that_went_in(layout: str, tmp_path: Path) -> None:
    name, section, write, (train, val) = LAYOUTS[layout]
    known = write(tmp_path)
    data_set = find(tmp_path, name, **section)
    assert (len(data_set.train), len(data_set.val)) == (train, val)
    labeled = {image_id: pair for image_id, pair in data_set.pairs.items() if pair.labels}
    assert set(labeled) == set(known)
    for image_id, pair in labeled.items():
        assert pair.labels
        size = read_image(pair.image).shape[:2]
        assert np.array_equal(read_labels(pair.labels, data_set.catalog, size=(size[0], size[1])), known[image_id]), image_id


@pytest.mark.parametrize("layout", ["cityscapes", "voc with sbd", "scannet", "gta5", "camvid"])
def test_a_train_image_without_a_label_file_is_unlabeled(layout: str, tmp_path: Path) -> None:
    name, section, write, _ = LAYOUTS[layout]
    write(tmp_path)
    before = find(tmp_path, name, **section)
    bare = next(image_id for image_id in sorted(before.train) if image_id not in (before.labeled or ()))
    labels = before.train[bare].labels
    assert labels
    labels.unlink()
    after = find(tmp_path, name, **section)
    assert after.train.keys() == before.train.keys()
    assert [image_id for image_id, pair in after.train.items() if not pair.labels] == [bare]
    assert next(check_samples(after, [bare], labels_required=False, workers=1))[0].labels is None


def test_images_of_train_extra_are_extra_and_their_coarse_labels_are_not_looked_for(tmp_path: Path) -> None:
    write_cityscapes(tmp_path, extra=3)
    data_set = find(tmp_path, "cityscapes", train_extra=True)
    assert sorted(data_set.extra) == [f"augsburg_{index:06d}_{index:06d}" for index in range(3)]
    assert all(pair.labels is None for pair in data_set.extra.values())
    assert not find(tmp_path, "cityscapes").extra


def test_the_train_pool_of_voc_leaves_out_what_sbd_knows_of_its_validation_images(tmp_path: Path) -> None:
    write_voc(tmp_path)
    data_set = find(tmp_path, "voc")
    assert not set(data_set.train) & set(data_set.val)
    assert data_set.labeled == frozenset(f"2007_{index:06d}" for index in range(4))
    official = data_set.train["2007_000000"].labels
    assert official
    assert official.parent.name == "SegmentationClass", "VOC's own labels go before SBD's of the same image"


def test_broken_pairs_of_gta5_are_left_out_and_counted(tmp_path: Path) -> None:
    write_gta5(tmp_path)
    with Image.open(tmp_path / "labels/00001.png") as labels:
        labels.resize((51, 46), Image.Resampling.NEAREST).save(tmp_path / "labels/20801.png")
    save(tmp_path / "images/20801.png", np.zeros((46, 95, 3), np.uint8))
    found = find(tmp_path, "gta5")
    assert not {"15188", "20801"} & set(found.train)
    (line,) = found.remarks
    assert "2 images left out, black or of another size than their labels: 15188, 20801" in line


def test_the_black_frame_of_train_extra_is_left_out(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)
    folder = tmp_path / "leftImg8bit/train_extra/troisdorf"
    for number in (72, 73):
        save(folder / f"troisdorf_000000_{number:06d}_leftImg8bit.png", np.zeros((4, 8, 3), np.uint8))
    found = find(tmp_path, "cityscapes", train_extra=True)
    assert "troisdorf_000000_000072" in found.extra
    assert "troisdorf_000000_000073" not in found.extra
    assert found.remarks == (f"{folder.parent}: troisdorf_000000_000073 left out, a black image",)


def test_train_images_with_the_id_of_a_validation_image_are_left_out_and_counted(tmp_path: Path) -> None:
    write_cityscapes(tmp_path)

    def prepared() -> list[str]:
        params = data(tmp_path, "cityscapes").model_copy(update={"labeled_fraction": 0.5})
        out = tmp_path / "prepared"
        out.mkdir(exist_ok=True)
        return prepare_data_set(params, out, out=out, lists=tmp_path, seed=0, workers=1, progress=lambda items, **_: items)

    assert not any("left out" in line for line in prepared())
    name = sorted(find(tmp_path, "cityscapes").val)[0]
    for kind in ("leftImg8bit", "gtFine"):
        for file in (tmp_path / kind / "val").glob(f"*/{name}*.png"):
            shutil.copy(file, next((tmp_path / kind / "train").iterdir()) / file.name)
    assert f"1 train images left out, whose ids validation images have too: {name}" in prepared()


MISSING = [
    ("cityscapes", "leftImg8bit", "leftImg8bit/train - expected a folder of Cityscapes - found none"),
    ("cityscapes", "gtFine/val", "gtFine/val - expected a folder of Cityscapes - found none"),
    ("cityscapes", "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
     "_leftImg8bit.png - expected the image of .*aachen_000000_000019_gtFine_labelIds.png"),
    ("voc with sbd", "VOCdevkit", "VOCdevkit/VOC2012 - expected a folder of VOC 2012"),
    ("voc with sbd", "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt", "Segmentation/train.txt - expected a file"),
    ("voc with sbd", "VOCdevkit/VOC2012/JPEGImages/2008_000001.jpg", "JPEGImages/2008_000001.jpg - expected a file"),
    ("voc with sbd", "VOCdevkit/VOC2012/SegmentationClass/2007_000002.png", "2007_000002.png - expected a file"),
    ("voc with sbd", "benchmark_RELEASE", "benchmark_RELEASE/dataset/train.txt - expected .* or set data.voc.augmentation"),
    ("voc with png copies", "VOCdevkit/VOC2012/SegmentationClassAug", "SegmentationClassAug - expected a folder of VOC 2012"),
    ("scannet", "scannet_frames_25k", "scannet_frames_25k - expected a folder"),
    ("scannet", "scannetv2_val.txt", "scannetv2_val.txt - expected a file"),
    ("scannet", "scannet_frames_25k/scene0001_01", "scene0001_01/color - expected a folder"),
    ("scannet", "scannet_frames_25k/scene0000_00/color/000100.jpg", "000100.jpg - expected the image of .*/000100.png"),
    ("scannet raw", "scannetv2-labels.combined.tsv", "scannetv2-labels.combined.tsv - expected a file"),
    ("gta5", "labels", "labels - expected a folder of GTA5"),
    ("gta5", "images/00003.png", "images/00003.png - expected the image of .*labels/00003.png"),
    ("camvid", "trainannot", "trainannot - expected a folder of CamVid - found none"),
    ("camvid", "train/0001TP_00000.png", "train/0001TP_00000.png - expected the image of .*trainannot/0001TP_00000.png"),
    ("folder", "classes.yaml", "classes.yaml - expected a file of your data set - found none - make it, as docs"),
    ("folder", "images", "images - expected a folder of your data set - found none"),
    ("folder", "labels", "labels - expected a folder of your data set - found none"),
    ("folder", "images/Straße 01.JPG", r"images/Straße 01\.\* - expected the image of .*labels/Straße 01.png - found none"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "path", "says"), MISSING)
def test_what_is_missing_is_named_with_the_place_where_it_is_expected(layout: str, path: str, says: str, tmp_path: Path) -> None:
    name, section, write, _ = LAYOUTS[layout]
    write(tmp_path)
    shutil.rmtree(tmp_path / path) if (tmp_path / path).is_dir() else (tmp_path / path).unlink()
    with pytest.raises(ValueError, match=says):
        find(tmp_path, name, **section)


def test_a_mapping_without_its_columns_is_refused(tmp_path: Path) -> None:
    write_scannet(tmp_path, raw=True)
    (tmp_path / "scannetv2-labels.combined.tsv").write_text("id,nyu40id\n1,1\n")
    with pytest.raises(
        ValueError, match=r"combined.tsv - expected the columns id and nyu40id - KeyError\('nyu40id'\) - download it again"
    ):
        find(tmp_path, "scannet", labels="raw")
