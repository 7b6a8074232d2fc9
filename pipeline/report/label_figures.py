"""The page's diagrams of pseudo labels: how sure the teacher is, and how right by size of the region."""

import math

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from pipeline.report.drawing import COLORS, STYLE, WIDTH, legend, picture, round_colors
from pipeline.report.pictures import Picture
from pipeline.report.record import Experiment
from pipeline.statistics.round_statistics import HISTOGRAM_BINS


def confidence_histograms(experiment: Experiment) -> Picture | None:
    """Draw a histogram of confidences for each class, of the last round that labels (the paper's Fig. 3).

    Returns:
        None without a round of self-training.
    """
    if not experiment.students or experiment.last.statistics is None:
        return None
    order = np.argsort(-experiment.labeled_shares, kind="stable").tolist()
    entries = [experiment.last.statistics.classes[index] for index in order]
    columns = min(5, len(entries))
    lines = math.ceil(len(entries) / columns)
    middles = (np.arange(HISTOGRAM_BINS) + 0.5) / HISTOGRAM_BINS
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.4 + 1.5 * lines), layout="constrained")
        all_axes = figure.subplots(lines, columns, sharex=True, squeeze=False).ravel()
        for axes, entry in zip(all_axes, entries, strict=False):
            total = max(entry.predicted, 1)
            heights = np.array(entry.histogram) / total
            axes.set_yscale("log")
            axes.bar(middles, np.maximum(heights, 1e-9), 1 / HISTOGRAM_BINS, color=COLORS["predicted"])
            axes.set_ylim(1e-5, 1)
            axes.set_xlim(0, 1)
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            axes.tick_params(labelsize=7.5)
            share = f"{100 * entry.at_top / total:.1f} % at 1" if entry.predicted else "never predicted"
            axes.set_title(f"{entry.name}\n{share}", fontsize=8.5)
        for axes in all_axes[len(entries) :]:
            axes.set_visible(False)
        alt = "Histograms on a log scale: confidences of the pixels predicted as each class, a panel per class"
        caption = (
            f"{experiment.last.label}: confidences of the unlabeled pixels predicted as each class, the most frequent first, in"
            f" {HISTOGRAM_BINS} bins; the title says which share holds the largest value there is."
        )
        return picture(figure, alt, caption)


def accuracy_by_region(experiment: Experiment) -> Picture | None:
    """Draw accuracy against the size of the region that a pixel lies in (the paper's Fig. 5b).

    Returns:
        None without a round whose unlabeled images have known labels.
    """
    students = [(student.label, student.statistics.regions) for student in experiment.students if student.statistics]
    known = [(label, regions) for label, regions in students if regions]
    if not known:
        return None
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        all_axes = figure.subplots(1, 3, sharex=True, sharey=True)
        titles = ("teacher: right", "pseudo-labeled", "pseudo labels: right")
        for (label, regions), color in zip(known, round_colors(len(known) + 1)[1:], strict=True):
            middles = np.sqrt(np.array(regions.edges[:-1]) * np.array(regions.edges[1:]))
            pixels, labeled = np.array(regions.pixels), np.array(regions.pseudo_labeled)
            parts = (
                (np.array(regions.predicted_right), pixels), (labeled, pixels), (np.array(regions.pseudo_labeled_right), labeled),
            )  # fmt: skip
            for axes, (part, whole) in zip(all_axes, parts, strict=True):
                shown = whole > 0
                axes.plot(middles[shown], part[shown] / whole[shown], "o-", color=color, markersize=4, label=label)
        for axes, title in zip(all_axes, titles, strict=True):
            axes.set_title(title)
            axes.set_xscale("log")
            axes.set_ylim(0, 1)
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            axes.grid(visible=True)
            axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_xlabel("region, of the image's area")
        legend(figure, all_axes[0].get_legend_handles_labels()[0])
        alt = "Lines by size of the object region: share of pixels that are predicted rightly, pseudo-labeled, labeled rightly"
        caption = "Unlabeled images whose true labels are known; a region is a connected part of one class."
        return picture(figure, alt, caption)


def reliability(experiment: Experiment) -> Picture | None:
    """Draw accuracy against confidence, before and after calibration.

    Returns:
        None without a round that was calibrated.
    """
    students = [(student.label, student.calibrator) for student in experiment.students if student.calibrator]
    calibrated = [(label, calibrator) for label, calibrator in students if calibrator.before]
    if not calibrated:
        return None
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        all_axes = figure.subplots(1, max(len(calibrated), 3), sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (label, calibrator) in zip(all_axes, calibrated, strict=False):
            axes.plot((0, 1), (0, 1), color="#c3c9cf", linewidth=1)
            diagrams = (("before", calibrator.before, "predicted"), ("after", calibrator.after, "pseudo-labeled"))
            for name, diagram, color in diagrams:
                assert diagram is not None
                points = [pair for pair in zip(diagram["confidence"], diagram["accuracy"], strict=True) if None not in pair]
                axes.plot(*zip(*points, strict=True), "o-", color=COLORS[color], markersize=4, label=name)
            axes.set_title(f"{label}: {calibrator.calibrator.method.replace('_', ' ')}")
            axes.set_xlabel("confidence")
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
        for axes in all_axes[len(calibrated) :]:
            axes.set_visible(False)
        all_axes[0].set_ylabel("accuracy")
        legend(figure, all_axes[0].get_legend_handles_labels()[0])
        alt = "Lines: accuracy by confidence on the validation images, before and after calibration, a panel per round"
        return picture(figure, alt, "Validation images, in 15 bins of equal width; on the gray line, confidences are accuracies.")
