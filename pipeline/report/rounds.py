"""What every round left on disk, read back into values."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.calibration.calibrator import CalibratorFile
from pipeline.files import read_json
from pipeline.selection import Selection
from pipeline.statistics.round_statistics import RoundStatistics

ByClass = tuple[float | None, ...]
"""(C,) values, None where a class has none."""


@dataclass(frozen=True)
class Divergence:
    """A Kullback-Leibler divergence in nats.

    Attributes:
        value: infinite if a class of the reference is absent; None without any pixel.
        smoothed: finite stand-in; None without any pixel.
        epsilon: share given to absent classes in `smoothed`.
    """

    value: float | None
    smoothed: float | None
    epsilon: float


@dataclass(frozen=True)
class PseudoLabels:
    """How good the pseudo labels of a round are, as `evaluate` measured them."""

    coverage: float
    kl: Divergence
    accuracy: float | None
    precision: ByClass
    recall: ByClass


@dataclass(frozen=True)
class Scores:
    """A round's network on the validation images; everything in [0, 1] or None where undefined."""

    mean_iou: float | None
    tail_mean_iou: float | None
    pixel_accuracy: float | None
    iou: ByClass
    protocol: str


@dataclass(frozen=True)
class Curve:
    """A training curve; all of one length, which may be 0."""

    steps: tuple[int, ...]
    loss_labeled: tuple[float, ...]
    loss_unlabeled: tuple[float, ...]


@dataclass(frozen=True)
class Round:
    """One round; round 0 was trained on labeled images alone and has nothing that is about pseudo labels."""

    key: str
    folder: Path
    scores: Scores
    curve: Curve
    selection: Selection | None
    pseudo_labels: PseudoLabels | None
    statistics: RoundStatistics | None
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


def read_divergence(tree: Any) -> Divergence:  # noqa: ANN401 - JSON is what it is
    """Read what `describe_kl` made."""
    value, smoothed = tree["value"], tree["smoothed"]
    return Divergence(
        value=math.inf if value == "inf" else None if value is None else float(value),
        smoothed=None if smoothed is None else float(smoothed),
        epsilon=float(tree["epsilon"]),
    )


def _read_round(folder: Path, key: str, class_names: Sequence[str]) -> Round:
    path = folder / "metrics.json"
    tree = read_json(path)
    try:
        scores = Scores(
            mean_iou=_optional(tree["mean_iou"]),
            tail_mean_iou=_optional(tree["tail_mean_iou"]),
            pixel_accuracy=_optional(tree["pixel_accuracy"]),
            iou=_by_class(tree["iou"], class_names),
            protocol=str(tree["protocol"]),
        )
        pseudo_labels = _pseudo_labels(tree["pseudo_labels"], class_names) if key != "0" else None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} - expected the measures of a round - found {error!r} - run the stage `evaluate`") from error
    selection = Selection.read(folder / "selection.json") if key != "0" else None
    if selection and selection.class_names != tuple(class_names):
        raise ValueError(
            f"{folder / 'selection.json'} - expected the classes {', '.join(class_names)}"
            f" - found {', '.join(selection.class_names)} - run the stage `solve_thresholds`"
        )
    return Round(
        key=key,
        folder=folder,
        scores=scores,
        curve=_read_curve(folder / "curve.tsv"),
        selection=selection,
        pseudo_labels=pseudo_labels,
        statistics=RoundStatistics.read(folder / "statistics.json") if key != "0" else None,
        calibrator=CalibratorFile.read(folder / "calibrator.json") if key != "0" else None,
    )


def _pseudo_labels(tree: Any, class_names: Sequence[str]) -> PseudoLabels:  # noqa: ANN401
    return PseudoLabels(
        coverage=float(tree["coverage"]),
        kl=read_divergence(tree["kl"]),
        accuracy=_optional(tree["accuracy"]),
        precision=_by_class(tree["precision"], class_names),
        recall=_by_class(tree["recall"], class_names),
    )


def _optional(value: Any) -> float | None:  # noqa: ANN401
    return None if value is None else float(value)


def _by_class(tree: Any, class_names: Sequence[str]) -> ByClass:  # noqa: ANN401
    if list(tree) != list(class_names):
        raise ValueError(f"the classes {', '.join(tree)} instead of {', '.join(class_names)}")
    return tuple(_optional(tree[name]) for name in class_names)


def _read_curve(path: Path) -> Curve:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), dialect="excel-tab"))
        return Curve(
            steps=tuple(int(row["step"]) for row in rows),
            loss_labeled=tuple(float(row["loss_labeled"]) for row in rows),
            loss_unlabeled=tuple(float(row["loss_unlabeled"]) for row in rows),
        )
    except OSError as error:
        raise ValueError(f"{path} - expected a training curve - {error.strerror} - run the stage that trains") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} - expected a training curve - found {error!r} - run the stage that trains") from error
