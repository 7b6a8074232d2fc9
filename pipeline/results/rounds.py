"""What a round left on disk, read back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.curve import CurveRow, read_curve
from pipeline.evaluation.metrics import Metrics
from pipeline.evaluation.val_curve import ValCurve
from pipeline.statistics.round_statistics import RoundStatistics


@dataclass(frozen=True)
class RoundResults:
    """The results of one round.

    Attributes:
        key: of the round.
        metrics: of its network on the validation images.
        curve: of its training; may be empty.
        val_curve: what its network scored on the way; may be empty.
        statistics: of its pseudo labels; None in round 0, which was trained on labeled images alone.
    """

    key: str
    metrics: Metrics
    curve: tuple[CurveRow, ...]
    val_curve: ValCurve
    statistics: RoundStatistics | None


def read_rounds(folder: Path, keys: Iterable[str], class_names: Sequence[str]) -> list[RoundResults]:
    """Read the results of round 0 and of the rounds `keys`, in numerical order; see `read_results`."""
    return [read_results(folder / key, key, class_names) for key in ("0", *sorted(keys, key=int))]


def read_results(folder: Path, key: str, class_names: Sequence[str]) -> RoundResults:
    """Read the results of the round `key` from its folder; `class_names` are those of the data set, (C,).

    Raises:
        ValueError: a file is missing, malformed or of other classes.
    """
    metrics = Metrics.read(folder / "metrics.json")
    check_classes(folder / "metrics.json", metrics.iou, class_names, stage="evaluate")
    statistics = None if key == "0" else RoundStatistics.read(folder / "statistics.json")
    if statistics:
        names = [entry.name for entry in statistics.classes]
        check_classes(folder / "statistics.json", names, class_names, stage="statistics")
    val_curve = ValCurve.read(folder / "val_curve.json")
    return RoundResults(key, metrics, read_curve(folder / "curve.tsv"), val_curve, statistics)


def check_classes(path: Path, found: Iterable[str], class_names: Sequence[str], *, stage: str) -> None:
    """Refuse a file of other classes than the data set's.

    Raises:
        ValueError: names both and the stage to run.
    """
    if list(found) != list(class_names):
        raise ValueError(
            f"{path} - expected the classes {', '.join(class_names)} - found {', '.join(found)} - run the stage `{stage}`"
        )
