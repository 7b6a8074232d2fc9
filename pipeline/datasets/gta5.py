"""GTA5 with the 19 classes that it shares with Cityscapes.

Its label files are palette PNGs whose indices are Cityscapes' label ids, 34 for license plates. Of some published pairs the
label file has another size than the image; they are left out and counted, as the field does.

Reference: Richter et al., Playing for Data: Ground Truth from Computer Games, ECCV 2016.
"""

from pathlib import Path

from pipeline.datasets.cityscapes import CLASS_NAMES, COLORS, cityscapes_catalog
from pipeline.datasets.data_set import DataSet
from pipeline.datasets.raw_files import collect, expect_folder, expect_images, if_file
from pipeline.params import Gta5Params
from pipeline.samples.catalog import IGNORE_INDEX, Catalog, pack_color
from pipeline.samples.images import size_of

LICENSE_PLATE = 34
VOID_COLORS = (
    (0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140), (180, 165, 180), (150, 100, 100), (150, 120, 90),
    (0, 0, 90), (0, 0, 110), (20, 20, 20), (255, 255, 255),
)  # fmt: skip
"""Colors of label ids without a class. License plates have the color of cars and groups of poles that of poles: by color, they
cannot be told from them and are read as these classes."""
UNUSABLE = frozenset({"15188", "17705"})
"""Published as black images."""
_REMEDY = "unpack the ten parts of images and labels there or set the root"


def find_gta5(root: Path, params: Gta5Params) -> DataSet:
    """Find GTA5's images and label files; it has no validation part.

    Args:
        root: holds `images/00001.png` and `labels/00001.png`.
        params: `index` reads the label files as downloaded; `color` reads copies that were saved as RGB.

    Raises:
        ValueError: a folder is missing or has no image, or a label file has none.
    """
    folder, annotations = (expect_folder(root / name, "GTA5", _REMEDY) for name in ("images", "labels"))
    expect_images((file, folder / file.name) for file in sorted(annotations.glob("*.png")))
    images = sorted(folder.glob("*.png"))
    unfit = {image.stem for image in images if image.stem in UNUSABLE or not _fits(image, annotations / image.name)}
    found = ((image.stem, image, if_file(annotations / image.name)) for image in images if image.stem not in unfit)
    train = collect(found, where=folder, data_set="GTA5")
    names = ", ".join(sorted(unfit))[:200]
    remark = f"{folder}: {len(unfit)} images left out, black or of another size than their labels: {names}"
    return DataSet(_by_color() if params.labels == "color" else _by_index(), train, {}, remarks=(remark,) if unfit else ())


def _fits(image: Path, labels: Path) -> bool:
    """Tell whether image and label file have one size; where one cannot be read, the check of all files says so later."""
    try:
        return not labels.is_file() or size_of(image) == size_of(labels)
    except ValueError:
        return True


def _by_index() -> Catalog:
    catalog = cityscapes_catalog("gta5", "label_ids")
    return catalog.model_copy(update={"train_ids": {**catalog.train_ids, LICENSE_PLATE: IGNORE_INDEX}})


def _by_color() -> Catalog:
    train_ids = {pack_color(color): train_id for train_id, color in enumerate(COLORS)}
    train_ids |= {pack_color(color): IGNORE_INDEX for color in VOID_COLORS}
    return Catalog(name="gta5", class_names=CLASS_NAMES, colors=COLORS, train_ids=train_ids, encoding="color")
