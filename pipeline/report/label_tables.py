"""The page's tables of pseudo labels: ties of confidence and what they do, groups of classes."""

from pipeline.divergence import describe_kl
from pipeline.report.numerals import NONE, count, difference, nats, percent, points, tone
from pipeline.report.record import Experiment
from pipeline.report.rounds import read_divergence
from pipeline.report.tables import Cell, Row, Table

_GROUPS = ("frequent, large", "frequent, small", "rare, large", "rare, small")


def overlap_table(experiment: Experiment) -> Table | None:
    """Show how many confidences are the largest there is, and what alignment by thresholds alone would label (Sec. 3.2).

    Returns:
        None without a round of self-training.
    """
    students = [(one, one.statistics, one.selection) for one in experiment.students]
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
            for _, statistics, _ in students
        ]
        rows.append(Row((Cell(name), *map(Cell, cells)), title=title))
    aligned = [selection if selection and selection.method in {"da", "dars"} else None for _, _, selection in students]
    if any(aligned):
        chosen = [(NONE, NONE, NONE, NONE) if one is None else (
            percent(sum(one.qualifying_counts) / one.num_pixels),
            nats(read_divergence(describe_kl(one.class_priors, one.qualifying_counts))),
            percent(sum(one.targets) / one.num_pixels),
            nats(read_divergence(describe_kl(one.class_priors, one.targets))),
        ) for one in aligned]  # fmt: skip
        titles = ("labeled by thresholds alone (da)", "KL of that, nats", "wanted (dars)", "KL of that, nats ")
        for place, name in enumerate(titles):
            rows.append(Row((Cell(name), *(Cell(texts[place]) for texts in chosen)), rule=not place))
    caption = (
        "Percent of all unlabeled pixels, unless a row says otherwise; what is wanted is what is labeled, but for shortfalls."
    )
    return Table(caption, ("", *(one.label for one, _, _ in students)), tuple(rows))


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
        places = [place for place, entry in enumerate(statistics.classes) if entry.group == group]
        means: list[float | None] = []
        for one in experiment.rounds:
            values = [value for place in places if (value := one.scores.iou[place]) is not None]
            means.append(sum(values) / len(values) if values else None)
        names = ", ".join(statistics.classes[place].name for place in places) or NONE
        text = points(difference(means[-1], means[0]))
        cells = (Cell(group), Cell(count(len(places))), *(Cell(percent(mean)) for mean in means), Cell(text, tone=tone(text)))
        rows.append(Row(cells, title=names))
    caption = (
        "Mean IoU in percent. Frequent: in more than half of the labeled images; large: where it appears, on average more than a"
        " tenth of a crop's area."
    )
    return Table(caption, ("Group", "Classes", *(one.label for one in experiment.rounds), "Gain"), tuple(rows))
