"""COCO's JSON with run lengths, which pycocotools packs.

Reference: cocodataset.org, Data format.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pipeline.annotations.labels import ToolLabels
from pipeline.annotations.material import Material, Work
from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress

ANNOTATIONS = "annotations.json"


def write_coco(out: Path, material: Material, labels: ToolLabels, *, workers: int, progress: Progress) -> None:
    """Write one JSON file with a region of each label and image.

    Regions have `iscrowd`, as everywhere where COCO has run lengths instead of polygons: readers that know only polygons without
    it would make polygons of them.

    Args:
        out: folder to write to.
        material: images and their label maps.
        labels: of the tool.
        workers: threads that read and encode.
        progress: shows the images.

    Raises:
        ValueError: a label map is damaged.
    """
    shown = labels.names if labels.has_background else labels.names[1:]
    categories = {name: number for number, name in enumerate(shown, start=1)}

    def encode(work: Work) -> list[dict[str, Any]]:
        placed = labels.place(work.read_labels(len(material.class_names)))
        return [{"category_id": categories[name], **_region(region)} for name, region in labels.regions(placed)]

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    encoded = map_ordered(encode, material.works, workers=workers)
    for work, regions in zip(material.works, progress(encoded, total=len(material.works), unit="image"), strict=True):
        height, width = work.size
        images.append({"id": len(images) + 1, "file_name": work.name, "width": width, "height": height})
        for region in regions:
            annotations.append({"id": len(annotations) + 1, "image_id": len(images), **region})
    tree = {
        "info": {"description": material.origin},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in categories.items()],
    }
    (out / ANNOTATIONS).write_text(f"{json.dumps(tree, ensure_ascii=False)}\n", encoding="utf-8")


def pack_region(region: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a region, (H, W) bool, as packed run lengths of COCO."""
    packed = coco.encode(np.asfortranarray(region.astype(np.uint8)))
    return {"size": [int(side) for side in packed["size"]], "counts": packed["counts"].decode("ascii")}


def _region(region: NDArray[np.bool_]) -> dict[str, Any]:
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    return {
        "segmentation": pack_region(region),
        "area": int(region.sum()),
        "bbox": [left, top, right - left + 1, bottom - top + 1],
        "iscrowd": 1,
    }
