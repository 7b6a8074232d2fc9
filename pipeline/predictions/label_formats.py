"""What a file of predictions is called and which values it holds: ours, and those that benchmark servers take."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.datasets import cityscapes, voc
from pipeline.samples.images import write_label_png

Colors = Sequence[tuple[int, int, int]]


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        class_names: (C,), classes that the network must predict; None = any.
        place: path of an image below its folder -> path of its label file below the folder of results.
        write: path, (H, W) uint8 train ids and the network's colors -> the label file.
        values: (C,), what stands for each class in the file; None = its train id.
        colors: (C,) RGB triples of the format's own; None = the network's.
        georeferenced: whether it keeps the georeference of an image, and then is GeoTIFF.
    """

    class_names: tuple[str, ...] | None
    place: Callable[[Path], Path]
    write: Callable[[Path, NDArray[np.uint8], Colors], None]
    values: Sequence[int] | None = None
    colors: Colors | None = None
    georeferenced: bool = False


def _write_label_ids(path: Path, prediction: NDArray[np.uint8], _: Colors) -> None:
    """Write Cityscapes' label ids, as its server and `csEvalPixelLevelSemanticLabeling` read them: 8 bits, one channel."""
    Image.fromarray(np.array(cityscapes.LABEL_IDS, np.uint8)[prediction]).save(path, format="PNG")


def _write_voc(path: Path, prediction: NDArray[np.uint8], _: Colors) -> None:
    write_label_png(path, prediction, voc.COLORS)


def _place_label_ids(image: Path) -> Path:
    """Keep CITY_SEQUENCE_FRAME of Cityscapes' names, so that two pictures of one frame are one file and seen as such."""
    frame = re.match(r"[^_]+_\d{6}_\d{6}(?=_|$)", image.stem)
    return Path("cityscapes") / f"{frame[0] if frame else image.stem.removesuffix('_leftImg8bit')}_pred_labelIds.png"


FORMATS = {
    "labels": Format(None, lambda image: Path("labels") / image.with_suffix(".png"), write_label_png, georeferenced=True),
    # The scripts find a prediction by the first three parts of its name and refuse a second one, so there is one flat folder.
    # They search it with its subfolders: CITYSCAPES_RESULTS is OUT/cityscapes, because overlays in OUT bear such names too.
    "cityscapes": Format(
        cityscapes.CLASS_NAMES, _place_label_ids, _write_label_ids, values=cityscapes.LABEL_IDS, colors=cityscapes.COLORS
    ),
    # comp6: trained on more than VOC's own data, which a network with ImageNet weights is.
    "voc": Format(
        voc.CLASS_NAMES,
        lambda image: Path("results/VOC2012/Segmentation/comp6_test_cls") / f"{image.stem}.png",
        _write_voc,
        colors=voc.COLORS,
    ),
}
"""By name: `labels`, palette PNGs or GeoTIFF of train ids, in folders like the images'; `cityscapes`, `voc`: for servers."""
