"""Tiny data sets in the layouts of the real ones, file by file as their archives unpack, made from a seed.

Every function returns the train ids of each image, by image id: what reading the label files must give.
"""

import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from pipeline.datasets.voc import palette_color

Labels = NDArray[np.uint8]
VOID = 255


def save(path: Path, array: NDArray[np.generic], palette: bytes | None = None) -> None:
    """Write an image; with a palette, as indices into it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    if palette:
        picture.putpalette(palette)
    picture.save(path)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def scene(rng: np.random.Generator, classes: int, size: tuple[int, int], void: float = 0.1) -> tuple[NDArray[np.uint8], Labels]:
    """Return an image whose colors tell its classes, and its train ids in blocks, some of them void."""
    height, width = size
    blocks = rng.integers(0, classes, (-(-height // 6), -(-width // 6))).astype(np.uint8)
    blocks[rng.random(blocks.shape) < void] = VOID
    labels = np.kron(blocks, np.ones((6, 6), np.uint8))[:height, :width]
    colors = np.random.default_rng(7).integers(30, 220, (256, 3))
    image = np.clip(colors[labels] + rng.integers(-15, 15, (height, width, 3)), 0, 255).astype(np.uint8)
    return image, labels


# --- Cityscapes ------------------------------------------------------------------------------------------------------------

CITY_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
CITY_VOID = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)


def city_label_ids(rng: np.random.Generator, labels: Labels) -> NDArray[np.uint8]:
    """Return Cityscapes' ids; void pixels get one of the ids without a train id, the rectification border included."""
    ids = np.zeros(256, np.uint8)
    ids[: len(CITY_IDS)] = CITY_IDS
    values = ids[labels]
    values[labels == VOID] = rng.choice(CITY_VOID, int((labels == VOID).sum()))
    return values


def write_cityscapes(
    root: Path, *, train: int = 8, val: int = 2, extra: int = 0, size: tuple[int, int] = (32, 64), train_ids: bool = False
) -> dict[str, Labels]:
    """Write leftImg8bit and gtFine, with `extra` train_extra and gtCoarse, with `train_ids` what createTrainIdLabelImgs adds."""
    rng = np.random.default_rng(0)
    known: dict[str, Labels] = {}
    cities = {"train": ("aachen", "weimar"), "val": ("frankfurt", "munster"), "test": ("berlin",), "train_extra": ("augsburg",)}
    for part, count in {"train": train, "val": val, "test": 2, "train_extra": extra}.items():
        for index in range(count):
            city = cities[part][index % len(cities[part])]
            name = f"{city}_{index:06d}_{19 if part != 'train_extra' else index:06d}"
            image, labels = scene(rng, 19, size)
            labels[-2:] = VOID
            save(root / f"leftImg8bit/{part}/{city}/{name}_leftImg8bit.png", image)
            # Annotations of the test part are withheld: all of it is "ego vehicle" or out of the region of interest.
            values = np.full(size, 3, np.uint8) if part == "test" else city_label_ids(rng, labels)
            kind = "gtCoarse" if part == "train_extra" else "gtFine"
            stem = root / f"{kind}/{part}/{city}/{name}_{kind}"
            save(Path(f"{stem}_labelIds.png"), values)
            save(Path(f"{stem}_instanceIds.png"), values.astype(np.uint16) * 1000)
            save(Path(f"{stem}_color.png"), np.dstack([image, np.full(size, 255, np.uint8)]))
            Path(f"{stem}_polygons.json").write_text(json.dumps({"imgHeight": size[0], "imgWidth": size[1], "objects": []}))
            if train_ids:
                save(Path(f"{stem}_labelTrainIds.png"), np.full(size, 255, np.uint8) if part == "test" else labels)
            if part in {"train", "val"}:
                known[name] = labels
    text(root / "README", "The Cityscapes Dataset")
    text(root / "license.txt", "see cityscapes-dataset.com")
    return known


# --- PASCAL VOC 2012 and SBD -----------------------------------------------------------------------------------------------

VOC_SIZES = ((33, 50), (47, 31), (36, 48), (25, 40))
"""Odd ones among them: VOC's images have 500 pixels on the longer side and anything on the other."""


def write_voc(root: Path, *, train: int = 4, val: int = 3, sbd: int = 6, augmentation: str = "sbd") -> dict[str, Labels]:
    """Write VOCdevkit/VOC2012 and, by `augmentation`, benchmark_RELEASE/dataset or SegmentationClassAug.

    As in reality, SBD annotates images of VOC's train and val parts too, and VOC has images that nobody has segmented.
    """
    rng = np.random.default_rng(1)
    voc, bench = root / "VOCdevkit/VOC2012", root / "benchmark_RELEASE/dataset"
    palette = np.array([palette_color(index) for index in range(256)], np.uint8).tobytes()
    known: dict[str, Labels] = {}
    names = {part: [f"20{7 + place:02d}_{index:06d}" for index in range(count)]
             for place, (part, count) in enumerate({"train": train, "val": val, "sbd": sbd, "boxes": 2}.items())}  # fmt: skip
    for part, ids in names.items():
        for index, name in enumerate(ids):
            image, labels = scene(rng, 21, VOC_SIZES[index % len(VOC_SIZES)])
            save(voc / f"JPEGImages/{name}.jpg", image)
            text(voc / f"Annotations/{name}.xml", "<annotation>", f"<filename>{name}.jpg</filename>", "</annotation>")
            if part in {"train", "val"}:
                save(voc / f"SegmentationClass/{name}.png", labels, palette)
                save(voc / f"SegmentationObject/{name}.png", np.where(labels == VOID, VOID, labels > 0).astype(np.uint8), palette)
            if part == "sbd" or index == 0:
                # SBD draws no border: its labels are others than VOC's for the same image, and VOC's go first.
                drawn = labels if part == "sbd" else np.zeros_like(labels)
                drawn = np.where(drawn == VOID, 0, drawn).astype(np.uint8)
                if augmentation == "sbd" and part != "boxes":
                    content = {
                        "Boundaries": np.zeros((20, 1)),
                        "Segmentation": drawn,
                        "CategoriesPresent": np.unique(drawn[drawn > 0]),
                    }
                    for folder, key in (("cls", "GTcls"), ("inst", "GTinst")):
                        (bench / folder).mkdir(parents=True, exist_ok=True)
                        savemat(bench / f"{folder}/{name}.mat", {key: content}, do_compression=True)
                    save(bench / f"img/{name}.jpg", image)
                if part == "sbd":
                    labels = drawn
            if augmentation == "segmentation_class_aug" and part != "boxes":
                save(voc / f"SegmentationClassAug/{name}.png", np.where(labels == VOID, VOID, labels).astype(np.uint8))
            if part != "boxes" and (part != "sbd" or augmentation != "none"):
                known[name] = labels
    everything = [name for ids in names.values() for name in ids]
    for folder in ("Main", "Layout", "Action"):
        text(voc / f"ImageSets/{folder}/trainval.txt", *everything)
    for part in ("train", "val"):
        text(voc / f"ImageSets/Segmentation/{part}.txt", *names[part])
    text(voc / "ImageSets/Segmentation/trainval.txt", *names["train"], *names["val"])
    if augmentation == "sbd":
        half = len(names["sbd"]) // 2
        text(bench / "train.txt", *names["sbd"][:half], names["val"][0])
        text(bench / "val.txt", *names["sbd"][half:], names["train"][0])
    return known


# --- ScanNet ---------------------------------------------------------------------------------------------------------------

SCANNET_IDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
SCANNET_RAW = {1: 1, 2: 5, 3: 2, 4: 7, 5: 8, 8: 15, 13: 18, 14: 34, 21: 16, 1163: 40}
"""Raw id -> NYU40 id of some rows as published; two are no class of the benchmark, one needs 16 bits."""
_COLUMNS = "id\traw_category\tcategory\tcount\tnyu40id\teigen13id\tnyuClass\tnyu40class\teigen13class\tModelNet40"


def write_scannet(
    root: Path, *, train: int = 3, val: int = 1, frames: int = 3, raw: bool = False, small_labels: bool = False
) -> dict[str, Labels]:
    """Write scannet_frames_25k and the benchmark's lists; labels at half the resolution where `small_labels`."""
    rng = np.random.default_rng(2)
    known: dict[str, Labels] = {}
    scenes = [f"scene{index:04d}_{index % 2:02d}" for index in range(train + val)]
    nyu40 = np.array([SCANNET_RAW.get(raw_id, 40) for raw_id in range(2000)])
    for name in scenes:
        folder = root / "scannet_frames_25k" / name
        for frame in range(0, 100 * frames, 100):
            image, labels = scene(rng, 20, (36, 48))
            if raw:
                values = rng.choice([0, *SCANNET_RAW], labels.shape).astype(np.uint16)
                ids = np.where(values == 0, 0, nyu40[values])
                labels = np.select([ids == one for one in SCANNET_IDS], range(20), VOID).astype(np.uint8)
            else:
                if small_labels:
                    labels = labels[::2, ::2]
                # 0 is not annotated; 13, 15, ... are NYU40 classes outside the benchmark.
                values = np.where(
                    labels == VOID, rng.choice([0, 13, 15, 40], labels.shape), np.array([*SCANNET_IDS, *([0] * 236)])[labels]
                )
                values = values.astype(np.uint8)
                labels = np.kron(labels, np.ones((2, 2), np.uint8)) if small_labels else labels
            save(folder / f"color/{frame:06d}.jpg", image)
            save(folder / f"depth/{frame:06d}.png", np.full((36, 48), 1200, np.uint16))
            save(folder / f"label/{frame:06d}.png", values)
            save(folder / f"instance/{frame:06d}.png", values.astype(np.uint16))
            text(folder / f"pose/{frame:06d}.txt", *["1 0 0 0"] * 4)
            known[f"{name}_{frame:06d}"] = labels
        for camera in ("color", "depth"):
            text(folder / f"intrinsics_{camera}.txt", *["1 0 0 0"] * 4)
    text(root / "scannetv2_train.txt", *scenes[:train])
    text(root / "scannetv2_val.txt", *scenes[train:])
    text(root / "scannetv2_test.txt", "scene0707_00")
    rows = [f"{raw_id}\tthing {raw_id}\tthing\t10\t{nyu}\t1\tthing\tthing\tthing\t" for raw_id, nyu in SCANNET_RAW.items()]
    text(root / "scannetv2-labels.combined.tsv", _COLUMNS, *rows)
    return known


# --- GTA5, CamVid, a folder of one's own -----------------------------------------------------------------------------------


def write_gta5(root: Path, *, count: int = 6, color: bool = False) -> dict[str, Labels]:
    """Write images and labels, and one of the two published pairs whose sizes differ."""
    rng = np.random.default_rng(3)
    palette = np.random.default_rng(8).integers(0, 256, 768).astype(np.uint8).tobytes()
    known: dict[str, Labels] = {}
    for index in range(1, count + 1):
        image, labels = scene(rng, 19, (32, 56))
        values = city_label_ids(rng, labels)
        if not color:
            values[0, :3], labels[0, :3] = 34, VOID
        # Pole groups have the color of poles.
        labels[values == 18] = 5 if color else VOID
        save(root / f"images/{index:05d}.png", image)
        if color:
            from cityscapesscripts.helpers.labels import id2label

            colors = np.array([id2label[index].color for index in range(34)], np.uint8)
            save(root / f"labels/{index:05d}.png", colors[values])
        else:
            save(root / f"labels/{index:05d}.png", values, palette)
        known[f"{index:05d}"] = labels
    save(root / "images/15188.png", np.zeros((32, 56, 3), np.uint8))
    save(root / "labels/15188.png", np.zeros((24, 42), np.uint8), palette)
    return known


def write_camvid(root: Path) -> dict[str, Labels]:
    """Write the SegNet tutorial's folders with frames of three videos, 0006R0 among them, in several sizes."""
    rng = np.random.default_rng(4)
    known: dict[str, Labels] = {}
    lines: dict[str, list[str]] = {"train": [], "val": []}
    for part, videos in {"train": (("0001TP", 6), ("0006R0", 3), ("0016E5", 5)), "val": (("0016E5", 1),)}.items():
        for video, count in videos:
            for index in range(count):
                image, labels = scene(rng, 11, ((24, 32), (30, 40), (17, 45))[index % 3])
                name = f"{video}_{index + (900 if part == 'val' else 0):05d}"
                save(root / f"{part}/{name}.png", image)
                save(root / f"{part}annot/{name}.png", np.where(labels == VOID, 11, labels).astype(np.uint8))
                known[name] = labels
                lines[part].append(f"/SegNet/CamVid/{part}/{name}.png /SegNet/CamVid/{part}annot/{name}.png")
        text(root / f"{part}.txt", *lines[part])
    return known


OWN_COLORS = ((70, 130, 180), (128, 64, 128), (0, 0, 142))


def write_folder(root: Path, *, color: bool = False) -> dict[str, Labels]:
    """Write 12 images, 8 of them labeled, in subfolders, with spaces and umlauts, as PNG and JPEG of several sizes."""
    rng = np.random.default_rng(5)
    known: dict[str, Labels] = {}
    for index in range(12):
        image, labels = scene(rng, 3, ((24, 40), (31, 27))[index % 2])
        name = f"Straße {index:02d}" if index % 3 else f"trip {index % 2}/{index:02d}"
        save(root / f"images/{name}{('.png', '.JPG')[index % 2]}", image)
        if index < 8:
            colors = np.array([*OWN_COLORS, *([(0, 0, 0)] * 253)], np.uint8)
            save(root / f"labels/{name}.png", colors[labels] if color else labels)
            known[name.replace("/", "_")] = labels
    names = ("sky", "road", "car")
    if color:
        entries = [f"  - {{name: {name}, color: {list(shade)}}}" for name, shade in zip(names, OWN_COLORS, strict=True)]
        text(root / "classes.yaml", "labels: color", "classes:", *entries, "ignore: [[0, 0, 0]]")
    else:
        text(root / "classes.yaml", f"classes: [{', '.join(names)}]")
    return known


# --- What annotation tools export ------------------------------------------------------------------------------------------

TOOL_CLASSES = {"background": (0, 0, 0), "road": (128, 64, 128), "car": (0, 0, 142)}
TOOL_NAMES = ("north/0001", "park", "street 12", "Süd 3", "lake", "mill", "hill", "pond")
"""Of images; those from the fifth on have annotations only where a test wants so."""


def tool_scene(number: int, size: tuple[int, int] = (24, 36)) -> tuple[NDArray[np.uint8], Labels]:
    """Return an image and its labels of three classes, all labeled."""
    return scene(np.random.default_rng(100 + number), 3, size, void=0.0)


def write_cvat(root: Path, *, images: str | None = "JPEGImages", labeled: int = 6, palette: bool = False) -> dict[str, Labels]:
    """Write CVAT's "Segmentation mask 1.1" as its zip unpacks; `images` is their folder, "" for beside, None for none."""
    known: dict[str, Labels] = {}
    colors = np.array(list(TOOL_CLASSES.values()), np.uint8)
    for number, name in enumerate(TOOL_NAMES):
        image, labels = tool_scene(number)
        if images is not None:
            save(root / images / f"{name}{('.jpg', '.png')[number % 2]}", image)
        if number < labeled:
            table = np.zeros((256, 3), np.uint8)
            table[:3] = colors
            mask = (labels, table.tobytes()) if palette else (colors[labels], None)
            save(root / f"SegmentationClass/{name}.png", *mask)
            # Instances have VOC's colors in the order of their numbers, whatever the classes have.
            save(
                root / f"SegmentationObject/{name}.png",
                np.array([palette_color(number) for number in range(3)], np.uint8)[labels],
            )
            known[name.replace("/", "_")] = labels
    lines = [f"{name}:{','.join(map(str, color))}::" for name, color in TOOL_CLASSES.items()]
    text(root / "labelmap.txt", "# label:color_rgb:parts:actions", *lines)
    text(root / "ImageSets/Segmentation/default.txt", *TOOL_NAMES)
    return known


def write_zip(archive: Path, folder: Path, inside: str = "") -> Path:
    """Pack a folder as tools do."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed.write(file, f"{inside}{file.relative_to(folder).as_posix()}")
    return archive


def rectangle(x: float, y: float, width: float, height: float) -> list[float]:
    """Return a polygon."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def coco_tree(names: Sequence[str], size: tuple[int, int], annotations: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a COCO file of images of one size, with the keys that CVAT writes; annotations get numbers from 1."""
    filled = [{"id": number, "area": 1.0, "bbox": [0, 0, 1, 1], "iscrowd": 0, "attributes": {"occluded": False}, **annotation}
              for number, annotation in enumerate(annotations, start=1)]  # fmt: skip
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        "categories": [{"id": 1, "name": "road", "supercategory": ""}, {"id": 2, "name": "car", "supercategory": ""}],
        "images": [
            {"id": number, "width": size[1], "height": size[0], "file_name": name, "license": 0, "flickr_url": "", "coco_url": ""}
            for number, name in enumerate(names, start=1)
        ],
        "annotations": filled,
    }


def write_coco(root: Path, size: tuple[int, int] = (24, 36)) -> dict[str, Any]:
    """Write images and a COCO file of six of them, polygons, unions, run lengths and overlaps; return the file."""
    annotations: list[dict[str, Any]] = []
    for number in range(1, 7):
        bits = np.asfortranarray(np.random.default_rng(number).random(size) < 0.3).astype(np.uint8)
        runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], bits.ravel("F"), [1 - bits.ravel("F")[-1]]]))), prepend=0)
        outline = [3.2 * number, 2.5, 20.0 + number, 4.0, 18.5, 21.7, 2.0, 15.0]
        annotations += [
            {"image_id": number, "category_id": 1, "segmentation": [rectangle(0, 12, 36, 12), rectangle(1, 1, 5, 4)]},
            {"image_id": number, "category_id": 2, "segmentation": [outline]},
            {"image_id": number, "category_id": 1, "segmentation": [rectangle(30.5, 3.25, 20, 9)]},
            {"image_id": number, "category_id": 2, "iscrowd": 1, "segmentation": {"size": list(size), "counts": runs.tolist()}},
        ]
    names = [f"{name}{('.jpg', '.png')[number % 2]}" for number, name in enumerate(TOOL_NAMES)]
    for number, name in enumerate(names):
        save(root / "images" / name, tool_scene(number, size)[0])
    tree = coco_tree(names[:7], size, annotations)
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/instances_default.json").write_text(json.dumps(tree))
    return tree
