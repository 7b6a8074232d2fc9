"""PASCAL VOC 2012 with the augmented train set of SBD: 1464 labeled images, 9118 more, 1449 to evaluate on.

Reference: Everingham et al., The PASCAL Visual Object Classes Challenge 2012; Hariharan et al., Semantic Contours from Inverse
Detectors, ICCV 2011 (SBD).
"""

from pathlib import Path

from pipeline.datasets.data_set import DataSet
from pipeline.datasets.raw_files import collect, expect_file, expect_folder, if_file
from pipeline.params import VocParams
from pipeline.samples.catalog import IGNORE_INDEX, Catalog

CLASS_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def palette_color(index: int) -> tuple[int, int, int]:
    """Return VOC's color of a class: the bits of the index, dealt out to red, green and blue, highest bits first."""
    color = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            color[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    red, green, blue = color
    return red, green, blue


COLORS = tuple(palette_color(index) for index in range(len(CLASS_NAMES)))
_REMEDY = "unpack VOCtrainval_11-May-2012.tar there or set data.root"


def find_voc(root: Path, params: VocParams) -> DataSet:
    """Find VOC's images and label files; `train.txt` is its own labeled set.

    Args:
        root: holds `VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,ImageSets/Segmentation}` and, for the augmentation `sbd`,
            `benchmark_RELEASE/dataset/{train.txt,val.txt,cls}`.
        params: where the rest of the augmented train set is listed.

    Returns:
        The train pool is (VOC train + SBD) - VOC val. A label file of SBD alone may be missing; official ones go first.

    Raises:
        ValueError: a folder, list or image is missing, or a listed official label file.
    """
    folder = expect_folder(root / "VOCdevkit/VOC2012", "VOC 2012", _REMEDY)
    images = expect_folder(folder / "JPEGImages", "VOC 2012", _REMEDY)
    official = expect_folder(folder / "SegmentationClass", "VOC 2012", _REMEDY)
    train, val = (_read_list(folder / "ImageSets/Segmentation" / f"{part}.txt") for part in ("train", "val"))
    more: dict[str, Path | None] = {}
    sbd = root / "benchmark_RELEASE/dataset"
    if params.augmentation == "sbd":
        listed = [image_id for part in ("train", "val") for image_id in _read_list(sbd / f"{part}.txt")]
        more = {image_id: if_file(sbd / "cls" / f"{image_id}.mat") for image_id in listed}
    elif params.augmentation == "segmentation_class_aug":
        converted = expect_folder(folder / "SegmentationClassAug", "VOC 2012", "put the PNGs there or set data.voc.augmentation")
        more = {file.stem: file for file in sorted(converted.glob("*.png"))}

    def image(image_id: str) -> Path:
        inside = sbd / "img" / f"{image_id}.jpg"
        return inside if inside.is_file() else expect_file(images / f"{image_id}.jpg", "VOC 2012", "complete the download")

    def labels(image_id: str) -> Path:
        return expect_file(official / f"{image_id}.png", "VOC 2012", "complete the download")

    pool = {image_id: labels(image_id) for image_id in train} | {
        image_id: file for image_id, file in more.items() if image_id not in {*train, *val}
    }
    train_ids = {index: index for index in (*range(len(CLASS_NAMES)), IGNORE_INDEX)}
    return DataSet(
        Catalog(name="voc", class_names=CLASS_NAMES, colors=COLORS, train_ids=train_ids),
        train=collect(((name, image(name), file) for name, file in sorted(pool.items())), where=images, data_set="VOC 2012"),
        val=collect(((name, image(name), labels(name)) for name in sorted(val)), where=images, data_set="VOC 2012"),
        labeled=frozenset(train),
    )


def _read_list(path: Path) -> list[str]:
    return expect_file(path, "VOC 2012", "complete the download or set data.voc.augmentation").read_text("utf-8").split()
