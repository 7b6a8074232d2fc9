"""CVAT's "Segmentation mask 1.1": a zip laid out like PASCAL VOC, without images, that a task of the same images takes.

Reference: docs.cvat.ai, Formats, "Segmentation Mask"; datumaro, plugins/data_formats/voc.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.annotations.labels import ToolLabels
from pipeline.annotations.material import Material, Work
from pipeline.datasets.folders.cvat import LABEL_MAP, MASKS
from pipeline.datasets.voc import palette_color
from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress
from pipeline.samples.catalog import Color

ARCHIVE = "annotations.zip"
LABELS = "labels.json"
"""For the "Raw" editor of labels of a new task."""
_INSTANCES = "SegmentationObject"
_LIST = "ImageSets/Segmentation/default.txt"
_TIME = (1980, 1, 1, 0, 0, 0)
"""Of all files in the archive, so that equal masks are equal bytes."""


def write_cvat(out: Path, material: Material, labels: ToolLabels, *, workers: int, progress: Progress) -> None:
    """Write the archive and the labels of its task.

    Every label is one instance an image, so that CVAT makes a mask of each, and none of what nothing covers.

    Args:
        out: folder to write to.
        material: images and their label maps.
        labels: of the tool.
        workers: threads that read and encode.
        progress: shows the images.

    Raises:
        ValueError: a label cannot stand in a label map, a label map is damaged, or two images have one name but for the ending.
    """
    for name in labels.names:
        if ":" in name or name.startswith("#") or name != name.strip():
            raise ValueError(f"--format cvat - expected class names without a colon - found {name!r} - choose another format")
    keys = {PurePosixPath(work.name).with_suffix("").as_posix(): work for work in material.works}
    instances = tuple(palette_color(number) for number in range(len(labels.names)))
    lines = [f"{name}:{','.join(map(str, color))}::" for name, color in zip(labels.names, labels.colors, strict=True)]

    def draw(work: Work) -> tuple[bytes, bytes]:
        placed = labels.place(work.read_labels(len(material.class_names)))
        # Of a palette the places, so that a reader of numbers and one of colors see the same.
        return _palette_png(placed, labels.colors), _palette_png(_numbered(placed), instances)

    with zipfile.ZipFile(out / ARCHIVE, "w") as archive:
        _put(archive, LABEL_MAP, "\n".join(["# label:color_rgb:parts:actions", *lines, ""]).encode())
        _put(archive, _LIST, "".join(f"{key}\n" for key in keys).encode())
        drawn = map_ordered(draw, keys.values(), workers=workers)
        for key, masks in zip(keys, progress(drawn, total=len(keys), unit="image"), strict=True):
            for folder, mask in zip((MASKS, _INSTANCES), masks, strict=True):
                _put(archive, f"{folder}/{key}.png", mask)
    shown = zip(labels.names[1:], labels.colors[1:], strict=True)
    entries = [{"name": name, "color": "#{:02x}{:02x}{:02x}".format(*color), "attributes": []} for name, color in shown]
    (out / LABELS).write_text(f"{json.dumps(entries, indent=2, ensure_ascii=False)}\n", encoding="utf-8")


def _numbered(placed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Number the labels that are there from 1 on, as instances of an image are; 0 stays."""
    numbers = np.zeros(256, np.uint8)
    there = np.setdiff1d(np.unique(placed), [0])
    numbers[there] = np.arange(1, len(there) + 1)
    numbered: NDArray[np.uint8] = numbers[placed]
    return numbered


def _palette_png(places: NDArray[np.uint8], colors: Sequence[Color]) -> bytes:
    picture = Image.fromarray(places)
    picture.putpalette(np.array(colors, np.uint8).tobytes())
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.external_attr = 0o644 << 16
    # PNGs are packed already.
    archive.writestr(entry, content)
