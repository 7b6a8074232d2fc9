"""What every round left on disk, read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.calibration.calibrator import CalibratorFile
from pipeline.results.rounds import RoundResults, check_classes, read_results
from pipeline.selection import Selection


@dataclass(frozen=True)
class Round(RoundResults):
    """One round; round 0 was trained on labeled images alone and has nothing that is about pseudo labels."""

    folder: Path
    selection: Selection | None
    calibrator: CalibratorFile | None

    @property
    def label(self) -> str:
        """What the page calls it."""
        return f"Round {self.key}"


def read_rounds(folder: Path, keys: Sequence[str], class_names: Sequence[str]) -> tuple[Round, ...]:
    """Read the rounds in numerical order.

    Args:
        folder: holds a folder per round.
        keys: of the rounds to read; other folders are left alone.
        class_names: (C,) of the data set.

    Raises:
        ValueError: a file is missing, malformed or of other classes.
    """
    return tuple(_read_round(folder / key, key, class_names) for key in sorted(keys, key=int))


def _read_round(folder: Path, key: str, class_names: Sequence[str]) -> Round:
    selection = calibrator = None
    if key != "0":
        selection = Selection.read(folder / "selection.json")
        check_classes(folder / "selection.json", selection.class_names, class_names, stage="solve_thresholds")
        calibrator = CalibratorFile.read(folder / "calibrator.json")
    results = read_results(folder, key, class_names)
    return Round(**vars(results), folder=folder, selection=selection, calibrator=calibrator)
