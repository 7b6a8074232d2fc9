"""From the `data` section to a data set.

A new data set is a file beside this one, a line in `FINDERS` and, in `pipeline/params.py`, its name and the section of its own.
"""

from collections.abc import Callable
from pathlib import Path

from pipeline.datasets.camvid import find_camvid
from pipeline.datasets.cityscapes import find_cityscapes
from pipeline.datasets.data_set import DataSet
from pipeline.datasets.folder import find_folder
from pipeline.datasets.gta5 import find_gta5
from pipeline.datasets.scannet import find_scannet
from pipeline.datasets.streets.draw import draw_streets
from pipeline.datasets.voc import find_voc
from pipeline.params import DataParams

FINDERS: dict[str, Callable[[DataParams, Path, Path, int], DataSet]] = {
    "streets": lambda params, _, drawn, __: draw_streets(drawn, params.streets),
    "camvid": lambda params, root, *_: find_camvid(root, params.camvid),
    "cityscapes": lambda params, root, *_: find_cityscapes(root, params.cityscapes),
    "voc": lambda params, root, *_: find_voc(root, params.voc),
    "scannet": lambda params, root, *_: find_scannet(root, params.scannet),
    "gta5": lambda params, root, *_: find_gta5(root, params.gta5),
    "folder": lambda _, root, drawn, workers: find_folder(root, drawn=drawn, workers=workers),
}


def find_data_set(params: DataParams, *, drawn: Path, workers: int) -> DataSet:
    """Find the data set that the `data` section names.

    A procedural one draws its files into the folder `drawn`, where archives are unpacked, too, and polygons drawn by `workers`
    threads.

    Raises:
        ValueError: files are missing; names which file is expected where.
    """
    return FINDERS[params.name](params, Path(params.root), drawn, workers)


def source_place(params: DataParams, drawn: Path) -> Path:
    """Return the folder for what is drawn of the source: two folders of one's own may both have some."""
    return drawn / "source" if params.source == "folder" else drawn


def find_source(params: DataParams, target: DataSet, *, drawn: Path, workers: int) -> DataSet:
    """Find the data set whose labels train: `data.source` in domain adaptation, else `target`, which `find_data_set` found.

    Raises:
        ValueError: files are missing, or the two have other classes.
    """
    if params.source is None:
        return target
    source = FINDERS[params.source](params, Path(params.source_root), source_place(params, drawn), workers)
    if source.catalog.class_names != target.catalog.class_names:
        raise ValueError(
            f"params.yaml - data.source - expected a data set with the classes of {params.name} - found"
            f" {', '.join(source.catalog.class_names)} in {params.source} - choose data sets that share their classes"
        )
    return source
