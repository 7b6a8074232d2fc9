"""The page's diagrams of rounds and classes."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipeline.report.drawing import COLORS, STYLE, TAIL_COLOR, WIDTH, legend, picture, round_colors
from pipeline.report.pictures import Picture
from pipeline.report.record import Experiment, Round


def class_distributions(experiment: Experiment) -> Picture | None:
    """Draw the class shares of labeled, predicted, pseudo-labeled and true pixels by round, on a log scale (the paper's Fig. 1).

    Returns:
        None without a round of self-training.
    """
    if not experiment.students:
        return None
    order = np.argsort(-experiment.labeled_shares, kind="stable")
    panels = [_shares(experiment, student) for student in experiment.students]
    positive = [share for shares in panels for values in shares.values() for share in values if share > 0]
    floor = 10 ** math.floor(math.log10(min(positive) / 2))  # so that the smallest share still has a bar
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.1 + 1.9 * len(panels)), layout="constrained")
        all_axes = figure.subplots(len(panels), sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, student, shares in zip(all_axes, experiment.students, panels, strict=True):
            axes.set_yscale("log")
            _shade_tail(axes, [experiment.tail[index] for index in order])
            width = 0.8 / len(shares)
            for place, (name, values) in enumerate(shares.items()):
                at = np.arange(len(order)) + (place - (len(shares) - 1) / 2) * width
                heights = np.array([values[index] for index in order])
                axes.bar(at, np.maximum(heights - floor, 0), width * 0.92, bottom=floor, color=COLORS[name])
                absent = heights == 0
                axes.plot(at[absent], np.full(absent.sum(), floor * 1.5), "x", color=COLORS[name], markersize=4)
            axes.set_ylim(floor, 1)
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            axes.grid(axis="y")
            axes.set_title(student.label)
            axes.set_xlim(-0.6, len(order) - 0.4)
        names = [experiment.catalog.class_names[index] for index in order]
        all_axes[-1].set_xticks(range(len(order)), names, rotation=40, ha="right")
        handles = [Patch(color=COLORS[name], label=name) for name in dict.fromkeys(name for shares in panels for name in shares)]
        legend(figure, [*handles, *_tail_patch(experiment)])
        alt = (
            "Bars on a log scale: share of every class among the labeled, predicted, pseudo-labeled and, where known, the true"
            " pixels; a panel per round"
        )
        return picture(figure, alt, "Share of each class, the most frequent first; a cross: no pixel at all.")


def training_curves(experiment: Experiment) -> Picture:
    """Draw the training losses of all rounds."""
    columns = min(3, len(experiment.rounds))
    lines = math.ceil(len(experiment.rounds) / columns)
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.6 + 2.2 * lines), layout="constrained")
        all_axes = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
        for axes, round_ in zip(all_axes, experiment.rounds, strict=False):
            steps, labeled = [row.step for row in round_.curve], [row.loss_labeled for row in round_.curve]
            unlabeled = [row.loss_unlabeled for row in round_.curve]
            axes.plot(steps, labeled, color=COLORS["labeled"], linewidth=1.3, label="labeled crops")
            if any(unlabeled):
                axes.plot(steps, unlabeled, color=COLORS["pseudo-labeled"], linewidth=1.3, label="pseudo-labeled crops")
            axes.grid(visible=True)
            axes.set_title(round_.label)
            axes.set_xlabel("step")
        for axes in all_axes[len(experiment.rounds) :]:
            axes.set_visible(False)
        all_axes[0].set_ylim(bottom=0)  # shared; after all lines are drawn, or those that come later are cut off
        all_axes[0].set_ylabel("loss")
        named = {label: handle for axes in all_axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        legend(figure, list(named.values()))
        alt = "Lines: training loss of labeled and pseudo-labeled crops by step, a panel per round"
        caption = "Cross entropy, auxiliary head included; each point is a mean over the steps since the one before."
        return picture(figure, alt, caption)


def validation_curves(experiment: Experiment) -> Picture | None:
    """Draw what the networks scored on their way; None where no snapshots were taken."""
    curves = [(round_.label, round_.val_curve) for round_ in experiment.rounds if round_.val_curve.points]
    if not curves:
        return None
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
        all_axes = figure.subplots(1, len(curves), sharey=True, squeeze=False).ravel()
        for axes, (label, curve) in zip(all_axes, curves, strict=True):
            steps = [point.step for point in curve.points]
            axes.plot(steps, _values(point.mean_iou for point in curve.points), "o-", markersize=3, label="all classes")
            axes.plot(steps, _values(point.tail_mean_iou for point in curve.points), "o--", markersize=3, label="tail classes")
            axes.grid(visible=True)
            axes.set_title(label)
            axes.set_xlabel("step")
        all_axes[0].set_ylim(bottom=0)
        all_axes[0].set_ylabel("mean IoU")
        all_axes[0].yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        legend(figure, all_axes[0].get_legend_handles_labels()[0])
        images = curves[0][1].images
        alt = "Lines: mean IoU on validation images over the steps of each training, a panel per round"
        return picture(figure, alt, f"On {images} validation images. The curve picks nothing: the last network is the round's.")


def _values(measures: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in measures]


def class_iou(experiment: Experiment) -> Picture:
    """Draw each class's IoU by round, as dots on a line."""
    order = np.argsort(-experiment.labeled_shares, kind="stable")
    names = [experiment.catalog.class_names[index] for index in order]
    at = np.arange(len(order))
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.2 + 0.27 * len(order)), layout="constrained")
        axes = figure.subplots()
        _shade_tail(axes, [experiment.tail[index] for index in order], horizontal=True)
        values = np.array([[round_.metrics.iou[name] for name in names] for round_ in experiment.rounds], np.float64)
        present = ~np.isnan(values).all(axis=0)
        low, high = np.nanmin(values[:, present], axis=0), np.nanmax(values[:, present], axis=0)
        axes.hlines(at[present], low, high, color="#c3c9cf", linewidth=2, zorder=1)
        for round_, color, row in zip(experiment.rounds, round_colors(len(experiment.rounds)), values, strict=True):
            axes.plot(row, at, "o", color=color, markersize=6.5, markeredgecolor="white", markeredgewidth=0.7, label=round_.label)
        axes.set_yticks(at, names)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xlim(-0.015, 1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_xlabel("IoU on the validation images")
        axes.grid(axis="x")
        legend(figure, [*axes.get_legend_handles_labels()[0], *_tail_patch(experiment)])
        alt = "Dots: validation IoU of every class, a dot per round"
        return picture(figure, alt, "The most frequent class first; a class without a dot neither occurs nor is predicted.")


def _shares(experiment: Experiment, student: Round) -> dict[str, list[float]]:
    chosen = student.selection
    assert chosen is not None
    shares = {"labeled": experiment.labeled_shares.tolist()}
    true = [entry.true or 0 for entry in student.statistics.classes] if student.statistics else []
    for name, counts in (("predicted", chosen.predicted_counts), ("pseudo-labeled", chosen.realized_counts), ("true", true)):
        if total := sum(counts):
            shares[name] = [pixels / total for pixels in counts]
    return shares


def _tail_patch(experiment: Experiment) -> list[Artist]:
    return [Patch(color=TAIL_COLOR, label="tail class")] if any(experiment.tail) else []


def _shade_tail(axes: Axes, tail: Sequence[bool], *, horizontal: bool = False) -> None:
    span = axes.axhspan if horizontal else axes.axvspan
    for place, rare in enumerate(tail):
        if rare:
            span(place - 0.5, place + 0.5, color=TAIL_COLOR, linewidth=0, zorder=0)
