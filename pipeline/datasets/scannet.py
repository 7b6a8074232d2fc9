"""ScanNet's 2D benchmark: 20 of the NYU40 classes, train and validation scenes as published.

Reference: Dai et al., ScanNet: Richly-annotated 3D Reconstructions of Indoor Scenes, CVPR 2017; ids, colors and lists of
ScanNet/ScanNet (BenchmarkScripts/util.py, Tasks/Benchmark).
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.raw_files import collect, expect_file, expect_folder, expect_images, if_file
from pipeline.params import ScanNetParams
from pipeline.samples.catalog import IGNORE_INDEX, Catalog

CLASSES: tuple[tuple[str, int, tuple[int, int, int]], ...] = (
    ("wall", 1, (174, 199, 232)),
    ("floor", 2, (152, 223, 138)),
    ("cabinet", 3, (31, 119, 180)),
    ("bed", 4, (255, 187, 120)),
    ("chair", 5, (188, 189, 34)),
    ("sofa", 6, (140, 86, 75)),
    ("table", 7, (255, 152, 150)),
    ("door", 8, (214, 39, 40)),
    ("window", 9, (197, 176, 213)),
    ("bookshelf", 10, (148, 103, 189)),
    ("picture", 11, (196, 156, 148)),
    ("counter", 12, (23, 190, 207)),
    ("desk", 14, (247, 182, 210)),
    ("curtain", 16, (219, 219, 141)),
    ("refrigerator", 24, (255, 127, 14)),
    ("shower curtain", 28, (158, 218, 229)),
    ("toilet", 33, (44, 160, 44)),
    ("sink", 34, (112, 128, 144)),
    ("bathtub", 36, (227, 119, 194)),
    ("other furniture", 39, (82, 84, 163)),
)
"""Name, NYU40 id and color of each class, in the order of the train ids."""
CLASS_NAMES = tuple(name for name, _, _ in CLASSES)
COLORS = tuple(color for _, _, color in CLASSES)
_TRAIN_IDS = {nyu40: train_id for train_id, (_, nyu40, _) in enumerate(CLASSES)}
NYU40 = {nyu40: _TRAIN_IDS.get(nyu40, IGNORE_INDEX) for nyu40 in range(41)}
"""NYU40 id -> train id; 0 is unannotated."""
_FRAMES = "scannet_frames_25k"
_MAPPING = "scannetv2-labels.combined.tsv"


def find_scannet(root: Path, params: ScanNetParams) -> DataSet:
    """Find the frames of the listed scenes.

    Args:
        root: holds `scannet_frames_25k/sceneXXXX_XX/{color/000000.jpg,label/000000.png}`, `scannetv2_train.txt` and
            `scannetv2_val.txt`, and for raw ids `scannetv2-labels.combined.tsv`.
        params: which ids the label files hold.

    Raises:
        ValueError: a list, a listed scene or the mapping is missing or damaged, or a label file has no image.
    """
    expect_folder(root / _FRAMES, "ScanNet", f"unpack {_FRAMES}.zip there or set data.root")
    train, val = (_find_part(root, f"scannetv2_{part}.txt") for part in ("train", "val"))
    train_ids = NYU40 if params.labels == "nyu40" else _read_mapping(root / _MAPPING)
    # Color frames have 1296x968 pixels, depth and some exports of the labels 640x480.
    catalog = Catalog(name="scannet", class_names=CLASS_NAMES, colors=COLORS, train_ids=train_ids, any_size=True)
    return DataSet(catalog, train, val)


def _find_part(root: Path, name: str) -> dict[str, Pair]:
    listed = expect_file(root / name, "ScanNet", "take it from ScanNet's Tasks/Benchmark").read_text("utf-8").split()

    def frames() -> Iterator[tuple[str, Path, Path | None]]:
        for scene in sorted(listed):
            folder = root / _FRAMES / scene
            color = expect_folder(folder / "color", "ScanNet", "complete the download")
            expect_images((file, color / f"{file.stem}.jpg") for file in sorted((folder / "label").glob("*.png")))
            for image in sorted(color.glob("*.jpg")):
                yield f"{scene}_{image.stem}", image, if_file(folder / "label" / f"{image.stem}.png")

    return collect(frames(), where=root / _FRAMES, data_set="ScanNet")


def _read_mapping(path: Path) -> Mapping[int, int]:
    """Return raw id -> train id; 0 is unannotated."""
    text = expect_file(path, "ScanNet", "take it from ScanNet's Tasks/Benchmark").read_text("utf-8")
    try:
        rows = list(csv.DictReader(text.splitlines(), dialect="excel-tab", quoting=csv.QUOTE_NONE))
        return {0: IGNORE_INDEX, **{int(row["id"]): NYU40[int(row["nyu40id"])] for row in rows if row["nyu40id"]}}
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} - expected the columns id and nyu40id - {error!r} - download it again") from error
