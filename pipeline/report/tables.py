"""The page's tables: text by cell, and what a cell looks like; the template turns them into HTML."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipeline.report.numerals import NONE, count, nats, percent, points, tone
from pipeline.report.record import Experiment, Round
from pipeline.results.summary import difference
from pipeline.selection import Selection
from pipeline.statistics.round_statistics import RoundStatistics


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: as read.
        color: CSS color of a swatch before the text, or "".
        tag: a word in small type behind the text, or "".
        tone: `up`, `down`, `warn`, `strong` or "".
    """

    text: str
    color: str = ""
    tag: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Row:
    """A row; its first cell heads it. `rule` draws a line above; `title` explains the row's head."""

    cells: tuple[Cell, ...]
    rule: bool = False
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a heading row and a caption that says the units."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]


def css_color(color: tuple[int, int, int]) -> str:
    """Spell an RGB triple in CSS."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def gain_cell(after: float | None, before: float | None) -> Cell:
    """Spell a gain in percentage points, colored by its sign."""
    text = points(difference(after, before))
    return Cell(text, tone=tone(text))


def rounds_table(experiment: Experiment) -> Table:
    """Compare the rounds: what the network scores, and what its pseudo labels are like."""
    first, last = experiment.first, experiment.last

    def score(name: str, title: str, value: Callable[[Round], float | None]) -> Row:
        cells = (Cell(percent(value(round_)), tone="strong") for round_ in experiment.rounds)
        return Row((Cell(name), *cells, gain_cell(value(last), value(first))), title=title)

    def selected(name: str, title: str, text: Callable[[Selection], str], *, rule: bool = False) -> Row:
        texts = (NONE if round_.selection is None else text(round_.selection) for round_ in experiment.rounds)
        return Row((Cell(name), *map(Cell, texts), Cell("")), title=title, rule=rule)

    def measured(name: str, title: str, text: Callable[[RoundStatistics], str]) -> Row:
        texts = (NONE if round_.statistics is None else text(round_.statistics) for round_ in experiment.rounds)
        return Row((Cell(name), *map(Cell, texts), Cell("")), title=title)

    rows = [
        score("mIoU", "mean over the classes that occur", lambda round_: round_.metrics.mean_iou),
        score("tail mIoU", "mean over the tail classes", lambda round_: round_.metrics.tail_mean_iou),
        score("pixel accuracy", "right over all pixels with a class", lambda round_: round_.metrics.pixel_accuracy),
    ]
    if experiment.students:
        rows += [
            selected("alpha asked", "pixels to label over all unlabeled pixels", _asked, rule=True),
            measured("coverage", "alpha realized: pixels labeled", lambda found: percent(found.coverage)),
            selected(
                "alpha max", "largest ratio that alignment serves without shortfall", lambda chosen: percent(chosen.alpha_max)
            ),
            selected("shortfall, pixels", "targets that too few predicted pixels can meet", _shortfall),
            measured("KL of the predictions, nats", "from the class priors to them", lambda found: nats(found.kl.predicted)),
            measured("KL of the pseudo labels, nats", "likewise", lambda found: nats(found.kl.pseudo_labeled)),
            measured("KL to the true labels, nats", "from them to the pseudo labels, where they exist", _kl_true),
            measured("pseudo-label accuracy", "where true labels exist", lambda found: percent(found.accuracy)),
        ]
    caption = "Percent, unless a row says otherwise; gain in percentage points from the first round to the last."
    return Table(caption, ("", *(round_.label for round_ in experiment.rounds), "Gain"), tuple(rows))


def _kl_true(found: RoundStatistics) -> str:
    return nats(found.kl_true)


def iou_table(experiment: Experiment) -> Table:
    """Compare the rounds class by class."""
    rows = []
    for index, cell in enumerate(_class_cells(experiment)):
        values = [round_.metrics.iou[cell.text] for round_ in experiment.rounds]
        share = Cell(percent(float(experiment.labeled_shares[index])))
        low, high = (ends[cell.text] for ends in (experiment.share_intervals.low, experiment.share_intervals.high))
        interval = Cell(f"{percent(low)} - {percent(high)}")
        rows.append(Row((cell, share, interval, *(Cell(percent(value)) for value in values), gain_cell(values[-1], values[0]))))
    for name, means in (
        ("mean", [round_.metrics.mean_iou for round_ in experiment.rounds]),
        ("mean of tail classes", [round_.metrics.tail_mean_iou for round_ in experiment.rounds]),
    ):
        cells = (Cell(name), Cell(""), Cell(""), *(Cell(percent(value), tone="strong") for value in means))
        rows.append(Row((*cells, gain_cell(means[-1], means[0])), rule=name == "mean"))
    head = ("Class", "Labeled pixels", "95 % interval", *(round_.label for round_ in experiment.rounds), "Gain")
    caption = (
        f"IoU on the validation images and share of the labeled pixels, in percent, with its interval over"
        f" {experiment.share_intervals.images} labeled images; gain in percentage points."
    )
    return Table(caption, head, tuple(rows))


def selection_table(experiment: Experiment, student: Round) -> Table:
    """Show what a round k >= 1 selected, class by class."""
    chosen, statistics = student.selection, student.statistics
    assert chosen is not None
    assert statistics is not None
    rows = []
    for index, cell in enumerate(_class_cells(experiment)):
        threshold = chosen.class_thresholds[index]
        short = chosen.shortfalls[index]
        cells = (
            cell,
            Cell(count(chosen.predicted_counts[index])),
            Cell(NONE if threshold is None else f"{threshold:.4f}"),
            Cell(count(chosen.qualifying_counts[index])),
            Cell(percent(chosen.sampling_rates[index], 1) if chosen.qualifying_counts[index] else NONE),
            Cell(count(chosen.targets[index])),
            Cell(count(chosen.realized_counts[index])),
            Cell(count(short), tone="warn" if short else ""),
            Cell(percent(statistics.classes[index].precision, 1)),
            Cell(percent(statistics.classes[index].recall, 1)),
        )
        rows.append(Row(cells))
    rows.append(_totals(chosen, statistics.accuracy))
    head = ("Class", "Predicted", "Threshold", "Qualify", "Rate", "Target", "Labeled", "Shortfall", "Precision", "Recall")
    caption = "Pixels of all unlabeled images; rate, precision and recall in percent, the last two where true labels exist."
    return Table(caption, head, tuple(rows))


def _totals(chosen: Selection, accuracy: float | None) -> Row:
    def total(counts: Iterable[int]) -> Cell:
        return Cell(count(sum(counts)), tone="strong")

    qualifying = sum(chosen.qualifying_counts)
    rate = percent(sum(chosen.realized_counts) / qualifying, 1) if qualifying else NONE
    cells = (
        Cell("all"), total(chosen.predicted_counts), Cell(""), total(chosen.qualifying_counts), Cell(rate, tone="strong"),
        total(chosen.targets), total(chosen.realized_counts), total(chosen.shortfalls),
        Cell(percent(accuracy, 1), tone="strong"), Cell(""),
    )  # fmt: skip
    return Row(cells, rule=True)


def _class_cells(experiment: Experiment) -> list[Cell]:
    catalog = experiment.catalog
    return [
        Cell(name, color=css_color(color), tag="tail" if rare else "")
        for name, color, rare in zip(catalog.class_names, catalog.colors, experiment.tail, strict=True)
    ]


def _asked(chosen: Selection) -> str:
    return NONE if chosen.method == "none" else percent(chosen.labeling_ratio)


def _shortfall(chosen: Selection) -> str:
    return count(sum(chosen.shortfalls))
