"""Tables for `dvc plots`, tidy: a row for every value, with what it is a value of."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.results.rounds import RoundResults
from pipeline.samples.class_frequencies import Shares

Value = str | int | float


def write_plots(folder: Path, rounds: Sequence[RoundResults], labeled_shares: Shares) -> None:
    """Write `losses.tsv`, `validation.tsv`, `class_iou.tsv` and `confusion.tsv`.

    Rounds come in numerical order; `labeled_shares` are (C,) float64, of the classes among the labeled pixels.
    """
    _write(folder / "losses.tsv", ("round", "set", "step", "loss"), map(losses, rounds))
    _write(folder / "validation.tsv", ("round", "set", "step", "iou"), map(validation, rounds))
    columns = ("round", "class", "labeled_share", "tail", "iou")
    _write(folder / "class_iou.tsv", columns, (class_ious(results, labeled_shares.tolist()) for results in rounds))
    _write(folder / "confusion.tsv", ("round", "true", "predicted", "share"), map(confusions, rounds))


def losses(results: RoundResults) -> Iterator[tuple[Value, ...]]:
    """Yield round, set of images, step and loss."""
    for row in results.curve:
        yield results.key, "labeled", row.step, row.loss_labeled
    for row in results.curve:
        if row.loss_unlabeled:
            yield results.key, "pseudo-labeled", row.step, row.loss_unlabeled


def validation(results: RoundResults) -> Iterator[tuple[Value, ...]]:
    """Yield round, set of classes, step and mean IoU."""
    for point in results.val_curve.points:
        for name, value in (("all classes", point.mean_iou), ("tail classes", point.tail_mean_iou)):
            if value is not None:
                yield results.key, name, point.step, value


def class_ious(results: RoundResults, labeled_shares: Sequence[float]) -> Iterator[tuple[Value, ...]]:
    """Yield round, class, its share of the labeled pixels, whether it is a tail class, and its IoU if it has one."""
    for (name, value), share in zip(results.metrics.iou.items(), labeled_shares, strict=True):
        if value is not None:
            yield results.key, name, share, "tail" if name in results.metrics.tail_classes else "head", value


def confusions(results: RoundResults) -> Iterator[tuple[Value, ...]]:
    """Yield round, true class, predicted class and which share of the true class's pixels, if there are any, is predicted so."""
    names = list(results.metrics.iou)
    for true, counts in zip(names, results.metrics.confusion, strict=True):
        if total := sum(counts):
            yield from ((results.key, true, name, count / total) for name, count in zip(names, counts, strict=False))


def _write(path: Path, columns: Sequence[str], rounds: Iterable[Iterable[tuple[Value, ...]]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        table = csv.writer(handle, dialect="excel-tab", lineterminator="\n")
        table.writerow(columns)
        for rows in rounds:
            table.writerows(rows)
