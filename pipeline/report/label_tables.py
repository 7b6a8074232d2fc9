"""The page's tables of pseudo labels: ties of confidence and what they do, groups of classes."""

from pipeline.report.numerals import NONE, count, nats, percent
from pipeline.report.record import Experiment
from pipeline.report.tables import Cell, Row, Table, gain_cell
from pipeline.selection import Selection
from pipeline.statistics.round_statistics import RoundStatistics

_GROUPS = ("frequent, large", "frequent, small", "rare, large", "rare, small")


def overlap_table(experiment: Experiment) -> Table | None:
    """Show how many confidences are the largest there is, and what alignment by thresholds alone would label (Sec. 3.2).

    Returns:
        None without a round of self-training.
    """
    students = [(student.statistics, student.selection) for student in experiment.students]
    if not students:
        return None
    rows = []
    for name, title, field in (
        ("at 1 in float16", "of the unlabeled pixels, uncalibrated", "tied_float16"),
        ("at 1 in float32", "", "tied_float32"),
        ("of infinite log odds", "all other probabilities underflow to 0", "tied_log_odds"),
    ):
        cells = [
            percent(sum(getattr(entry, field) for entry in statistics.classes) / statistics.num_pixels) if statistics else NONE
            for statistics, _ in students
        ]
        rows.append(Row((Cell(name), *map(Cell, cells)), title=title))
    chosen = [_aligned(*student) for student in students]
    if any(chosen):
        titles = ("labeled by thresholds alone (da)", "KL of that, nats", "wanted (dars)", "KL of that, nats ")
        for place, name in enumerate(titles):
            rows.append(Row((Cell(name), *(Cell(texts[place] if texts else NONE) for texts in chosen)), rule=not place))
    caption = (
        "Percent of all unlabeled pixels, unless a row says otherwise; what is wanted is what is labeled, but for shortfalls."
    )
    return Table(caption, ("", *(student.label for student in experiment.students)), tuple(rows))


def group_table(experiment: Experiment) -> Table | None:
    """Show the mean IoU of the paper's four groups of classes (Fig. 5a).

    Returns:
        None without a round of self-training.
    """
    statistics = experiment.last.statistics
    if statistics is None:
        return None
    rows = []
    for group in _GROUPS:
        members = [entry.name for entry in statistics.classes if entry.group == group]
        means: list[float | None] = []
        for round_ in experiment.rounds:
            values = [value for name in members if (value := round_.metrics.iou[name]) is not None]
            means.append(sum(values) / len(values) if values else None)
        cells = (Cell(group), Cell(count(len(members))), *(Cell(percent(mean)) for mean in means))
        rows.append(Row((*cells, gain_cell(means[-1], means[0])), title=", ".join(members) or NONE))
    caption = (
        "Mean IoU in percent. Frequent: in more than half of the labeled images; large: where it appears, on average more than a"
        " tenth of a crop's area, at the scales of training."
    )
    return Table(caption, ("Group", "Classes", *(round_.label for round_ in experiment.rounds), "Gain"), tuple(rows))


def _aligned(statistics: RoundStatistics | None, selection: Selection | None) -> tuple[str, ...]:
    """Spell what thresholds alone would label and what is wanted, with their divergences; nothing where nothing is aligned."""
    if statistics is None or selection is None or selection.method not in {"da", "dars"}:
        return ()
    return (
        percent(sum(selection.qualifying_counts) / selection.num_pixels),
        nats(statistics.kl.qualifying),
        percent(sum(selection.targets) / selection.num_pixels),
        nats(statistics.kl.targets),
    )
