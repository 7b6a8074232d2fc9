"""From the `data` section to a data set; a new data set is a file of its own and one line in the table."""

from collections.abc import Callable
from pathlib import Path

from pipeline.datasets.camvid import find_camvid
from pipeline.datasets.sources import Source
from pipeline.datasets.streets.files import draw_streets
from pipeline.params import DataParams

_FIND: dict[str, Callable[[DataParams, Path], Source]] = {
    "streets": lambda params, drawn: draw_streets(drawn, params.streets),
    "camvid": lambda params, _: find_camvid(Path(params.root), params.camvid),
}


def find_source(params: DataParams, *, drawn: Path) -> Source:
    """Find the data set that `params` names.

    Args:
        params: the `data` section.
        drawn: folder that a procedural data set draws its files into; others leave it alone.

    Raises:
        ValueError: files are missing; names which file is expected where.
    """
    return _FIND[params.name](params, drawn)
