"""What the experiment is and what came of it, in words that are computed from its figures and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.report.numerals import NONE, count, percent, points, tone
from pipeline.report.record import Experiment, Round
from pipeline.results.summary import difference
from pipeline.selection import Selection

METHODS = {
    "none": "no pseudo labels: every round goes on with the labeled images alone (the control)",
    "st": "self-training with one confidence threshold for all classes",
    "cbst": "class-balanced self-training: the same share of every predicted class",
    "da": "distribution alignment: class thresholds that aim at the labeled set's class shares",
    "dars": "distribution alignment and random sampling",
}


@dataclass(frozen=True)
class Tile:
    """A figure in large type; `tone` is `up`, `down` or ""."""

    name: str
    value: str
    note: str
    tone: str = ""


def facts(experiment: Experiment, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what this experiment is: lines of the head, each a name and its value.

    `settings` are the parameters to print, `method`, `st_confidence`, `equal_pixels` and `seed` among them.
    """
    images = ((experiment.num_labeled, "labeled"), (len(experiment.unlabeled), "unlabeled"), (len(experiment.val), "validation"))
    protocols = dict.fromkeys(round_.metrics.protocol for round_ in experiment.rounds)
    return [
        ("Data set", f"{experiment.catalog.name}, {experiment.catalog.num_classes} classes"),
        ("Images", ", ".join(f"{count(number)} {name}" for number, name in images)),
        ("Method", f"{settings['method']}: {METHODS[settings['method']]}"),
        ("Labeling ratio", _ratios(experiment, settings)),
        ("Equal pixels", "yes" if settings["equal_pixels"] else "no"),
        ("Seed", str(settings["seed"])),
        ("Protocol", "; ".join(protocols)),
    ]


def tiles(experiment: Experiment) -> list[Tile]:
    """Pick the figures that a reader looks for first."""
    first, last = experiment.first.metrics, experiment.last.metrics
    shown = []
    scores = (("mIoU", last.mean_iou, first.mean_iou), ("tail mIoU", last.tail_mean_iou, first.tail_mean_iou))
    for name, after, before in scores:
        gain = points(difference(after, before))
        note = "round 0" if not experiment.students else "" if gain == NONE else f"{gain} points since round 0"
        shown.append(Tile(name, NONE if after is None else f"{percent(after, 1)} %", note, tone(gain)))
    if found := experiment.last.statistics:
        accuracy = "no true labels known" if found.accuracy is None else f"{percent(found.accuracy, 1)} % of them right"
        note = accuracy if found.coverage else "no pixel"
        shown.append(Tile("pseudo-labeled", f"{percent(found.coverage, 1)} %", note))
    return shown


def summary(experiment: Experiment) -> list[str]:
    """Say what came of it, in sentences."""
    if not experiment.students:
        return ["There is no round of self-training to compare round 0 with."]
    first, last = experiment.first, experiment.last
    sentences = [
        f"From round 0 to round {last.key}, {_change('mIoU', last.metrics.mean_iou, first.metrics.mean_iou)}"
        f" and {_change('tail mIoU', last.metrics.tail_mean_iou, first.metrics.tail_mean_iou)}."
    ]
    pairs = zip(last.metrics.iou.values(), first.metrics.iou.values(), strict=True)
    gains = [gain for pair in pairs if (gain := difference(*pair)) is not None]
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    sentences.append(f"Of {len(gains)} classes, {better} gained and {worse} lost IoU.")
    scored = [(value, round_) for round_ in experiment.rounds if (value := round_.metrics.mean_iou) is not None]
    best = max(scored, key=lambda pair: pair[0], default=(None, last))
    if best[0] is not None and best[1].metrics.mean_iou != last.metrics.mean_iou:
        sentences.append(f"The best mIoU, {percent(best[0])} %, is that of round {best[1].key}.")
    collapses = [
        f"In round {student.key}, {collapse}."
        for student in experiment.students
        if student.selection and student.selection.method != "none" and (collapse := student.selection.describe_collapse())
    ]
    if len(gains) < 2:
        sentences.append(f"Only {len(gains)} class counts: mIoU says little. Look whether the class list is right.")
    return [*collapses, *sentences, *_shortfall(last)]


def _ratios(experiment: Experiment, settings: Mapping[str, Any]) -> str:
    if settings["method"] == "none":
        return "not used"
    if settings["method"] == "st" and settings["st_confidence"] is not None and not settings["equal_pixels"]:
        return f"not used: every confidence from {settings['st_confidence']:g} on is kept"
    chosen = [(student.key, student.selection) for student in experiment.students if student.selection]
    return ", ".join(f"{_ratio(selection)} in round {key}" for key, selection in chosen) or "no round of self-training"


def _ratio(selection: Selection) -> str:
    if selection.ratio_choice is None:
        return f"{selection.labeling_ratio:g}"
    return f"{selection.labeling_ratio:.3g} (auto, {selection.ratio_choice.rule}: {selection.ratio_choice.limit})"


def _change(name: str, after: float | None, before: float | None) -> str:
    gain = difference(after, before)
    if gain is None:
        return f"{name} is not defined in both"
    text = points(gain)
    verb = {"up": "rose", "down": "fell"}.get(tone(text), "did not change")
    by = f" by {text[1:]} points" if tone(text) else ""
    return f"{name} {verb}{by} ({percent(before)} % to {percent(after)} %)"


def _shortfall(last: Round) -> list[str]:
    if last.selection is None or not (short := sum(last.selection.shortfalls)):
        return []
    classes = sum(pixels > 0 for pixels in last.selection.shortfalls)
    share = percent(short / sum(last.selection.targets), 1)
    return [
        f"Round {last.key} could not fill the targets of {classes} {'class' if classes == 1 else 'classes'}:"
        f" {count(short)} pixels are missing, {share} % of all targets."
    ]
