"""The page's tables of other experiments: what labeling methods gain over each other, over seeds."""

from pathlib import Path

from pipeline.comparison.formats import to_cells
from pipeline.comparison.rows import Comparison
from pipeline.report.tables import Cell, Row, Table

_CAPTION = (
    "Percent with standard deviations over seeds; differences in percentage points of mIoU, paired by seed; KL in nats, and where"
    " a class has no pseudo label also with a tiny share for it. A star: the interval leaves out 0. Each interval is for its row"
    " alone: among twenty rows, one star is expected by chance."
)


def comparison_tables(folder: Path, data_set: str) -> list[tuple[str, str, Table]]:
    """Return name, title and table of every comparison that `python -m stages.table` made on this data set and no other.

    Raises:
        ValueError: a file is not such a table.
    """
    tables = []
    for path in sorted(folder.glob("*.json")):
        comparison = Comparison.read(path)
        if comparison.data_set != data_set:
            continue
        head, lines = to_cells(comparison)
        rows = tuple(
            Row(tuple(map(Cell, cells)), rule=before not in {None, cells[1]})
            for before, cells in zip([None, *(cells[1] for cells in lines)], lines, strict=False)
        )
        tables.append((comparison.name, comparison.title, Table(_CAPTION, tuple(name.replace("`", "") for name in head), rows)))
    return tables
