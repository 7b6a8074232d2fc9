"""Cityscapes as its packages unpack: leftImg8bit, gtFine and, for more unlabeled images, leftImg8bit/train_extra.

Reference: Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR 2016; ids and colors of
cityscapesscripts/helpers/labels.py, folders and names of its README.
"""

from pathlib import Path

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.raw_files import collect, expect_folder, expect_images, if_file
from pipeline.params import CityscapesParams
from pipeline.samples.catalog import IGNORE_INDEX, Catalog

CLASSES: tuple[tuple[str, int, tuple[int, int, int]], ...] = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
"""Name, label id and color of each class, in the order of the train ids."""
CLASS_NAMES = tuple(name for name, _, _ in CLASSES)
COLORS = tuple(color for _, _, color in CLASSES)
LABEL_IDS = tuple(label_id for _, label_id, _ in CLASSES)
# License plates, id -1, are not drawn: cityscapesscripts leaves polygons with negative ids out.
_OTHER_IDS = tuple(label_id for label_id in range(34) if label_id not in LABEL_IDS)
_SUFFIX = "_leftImg8bit.png"
_LABELS = {"label_ids": "labelIds", "label_train_ids": "labelTrainIds"}
UNUSABLE = frozenset({"troisdorf_000000_000073"})
"""Of train_extra: published as a black image."""
_REMEDY = "unpack leftImg8bit and gtFine there or set data.root"


def cityscapes_catalog(name: str, labels: str) -> Catalog:
    """Return the 19 classes with the values of `labels`: `label_ids` or `label_train_ids`."""
    train_ids = {train_id: train_id for train_id in range(len(CLASSES))} | {IGNORE_INDEX: IGNORE_INDEX}
    if labels == "label_ids":
        train_ids = {label_id: train_id for train_id, label_id in enumerate(LABEL_IDS)}
        train_ids |= dict.fromkeys(_OTHER_IDS, IGNORE_INDEX)
    return Catalog(name=name, class_names=CLASS_NAMES, colors=COLORS, train_ids=train_ids)


def find_cityscapes(root: Path, params: CityscapesParams) -> DataSet:
    """Find Cityscapes' images and fine labels; coarse labels are never looked for.

    Args:
        root: holds `leftImg8bit/{train,val}/CITY/CITY_000000_000019_leftImg8bit.png` and
            `gtFine/{train,val}/CITY/CITY_000000_000019_gtFine_labelIds.png`.
        params: which label files to read, and whether to add `leftImg8bit/train_extra` to the unlabeled images.

    Raises:
        ValueError: a folder is missing or has no image, or a label file has none.
    """
    train, val = (_find_part(root, part, params) for part in ("train", "val"))
    extra: dict[str, Pair] = {}
    remarks: tuple[str, ...] = ()
    if params.train_extra:
        folder = expect_folder(root / "leftImg8bit/train_extra", "Cityscapes", "unpack leftImg8bit_trainextra there")
        found = [(_image_id(image), image, None) for image in sorted(folder.glob(f"*/*{_SUFFIX}"))]
        remarks = tuple(f"{folder}: {name} left out, a black image" for name, *_ in found if name in UNUSABLE)
        extra = collect((files for files in found if files[0] not in UNUSABLE), where=folder, data_set="Cityscapes")
    return DataSet(cityscapes_catalog("cityscapes", params.labels), train, val, extra, remarks=remarks)


def _find_part(root: Path, part: str, params: CityscapesParams) -> dict[str, Pair]:
    folder = expect_folder(root / "leftImg8bit" / part, "Cityscapes", _REMEDY)
    annotations = expect_folder(root / "gtFine" / part, "Cityscapes", _REMEDY)
    ending = f"_gtFine_{_LABELS[params.labels]}.png"
    expect_images(
        (file, folder / file.parent.name / f"{file.name.removesuffix(ending)}{_SUFFIX}")
        for file in sorted(annotations.glob(f"*/*{ending}"))
    )
    images = sorted(folder.glob(f"*/*{_SUFFIX}"))
    labels = (if_file(annotations / image.parent.name / f"{_image_id(image)}{ending}") for image in images)
    found = zip(map(_image_id, images), images, labels, strict=True)
    return collect(found, where=folder, data_set="Cityscapes")


def _image_id(image: Path) -> str:
    return image.name.removesuffix(_SUFFIX)
