"""What a layout found in a folder, faults included: `prepare` stops at them, `inspect` lists them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.faults import tell_faults
from pipeline.samples.sample_lists import read_ids


@dataclass(frozen=True)
class Found:
    """A folder, read as one layout.

    Attributes:
        layout: in words, for a person.
        data_set: what was found; without what is at fault.
        faults: what must be mended, one to a line.
    """

    layout: str
    data_set: DataSet
    faults: tuple[str, ...]

    def whole(self) -> DataSet:
        """Return the data set.

        Raises:
            ValueError: there are faults; tells the first and names more.
        """
        if self.faults:
            raise ValueError(tell_faults(self.faults))
        return self.data_set


def divide(
    root: Path, pairs: Mapping[str, Pair], held_out: Iterable[str], faults: list[str]
) -> tuple[dict[str, Pair], dict[str, Pair]]:
    """Divide images into the train pool and those to evaluate on: of `root/val.txt` where there is one, else `held_out`.

    What is wrong with the list is added to `faults`.
    """
    listed = root / "val.txt"
    try:
        val = set(read_ids(listed, pairs) if listed.exists() else held_out)
    except ValueError as error:
        faults.append(str(error))
        val = set()
    return (
        {image_id: pair for image_id, pair in pairs.items() if image_id not in val},
        {image_id: pair for image_id, pair in pairs.items() if image_id in val},
    )
