"""Suggestions for one round, from what its stages left on disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.machine.progress import Progress
from pipeline.randomness import keyed_generator
from pipeline.samples.sample_lists import Sample
from pipeline.selection import Selection
from pipeline.softmax_store.reader import ConfidenceStore
from pipeline.suggestions.demand import Demand, find_demand
from pipeline.suggestions.evidence import Evidence, read_evidence
from pipeline.suggestions.rank import Choice, rank_at_random, rank_by_shortfall, rank_by_uncertainty
from pipeline.suggestions.series import Series
from pipeline.suggestions.table import Suggestion

SCORES = ("shortfall", "uncertainty", "random")
"""What images can be ranked by; the last two are there to be compared with the first."""


@dataclass(frozen=True)
class Suggestions:
    """The images, the best first, and lines that say what a person should know of them."""

    images: list[Suggestion]
    remarks: list[str]


def suggest_images(
    store: ConfidenceStore,
    selection: Selection,
    *,
    labeled: Sequence[Sample],
    unlabeled: Sequence[Sample],
    scores: str,
    count: int,
    apart: int,
    seed: int,
    round_key: str,
    workers: int,
    progress: Progress,
) -> Suggestions:
    """Rank the unlabeled images of a round by what their labels would be worth; the same for any number of workers.

    Args:
        store: confidences of the round, calibrated where the round has a calibrator.
        selection: of the round.
        labeled: that the teacher has learned from, for their sizes.
        unlabeled: for their files.
        scores: one of `SCORES`.
        count: images to suggest; all where there are fewer.
        apart: places in a series within which images wait for all others; of `shortfall` alone.
        seed: of the experiment, for `random`.
        round_key: names the round, likewise.
        workers: threads.
        progress: shows the images that are read.

    Raises:
        ValueError: the store is damaged, or store, selection and list do not belong together.
    """
    files = {sample.image_id: sample.image for sample in unlabeled}
    if files.keys() != set(store.image_ids):
        raise ValueError(
            f"{store.path} - expected the {len(files)} images of the unlabeled list - found {len(store.image_ids)} others"
            " - run the stage `infer`"
        )
    evidence = read_evidence(store, workers=workers, progress=progress)
    predicted = tuple(evidence.predicted.sum(axis=0).tolist())
    if (selection.class_names, selection.predicted_counts) != (store.class_names, predicted):
        raise ValueError(
            f"{store.path} - expected {selection.predicted_counts} pixels by class, as the selection counts - found {predicted}"
            " - run the stage `solve_thresholds`"
        )
    remarks = []
    if len(files) < count:
        remarks.append(f"{count} images were asked for, and all {len(files)} unlabeled ones are ranked")
    if scores == "shortfall":
        demand = find_demand(selection, labeled_pixels=sum(sample.height * sample.width for sample in labeled))
        remarks += _describe(selection, demand)
        ranked = rank_by_shortfall(evidence, demand, Series(evidence.image_ids), count=count, apart=apart)
    else:
        ranked = _rank_for_comparison(evidence, scores, count=count, seed=seed, round_key=round_key)
    names = evidence.image_ids
    images = [Suggestion(names[choice.index], files[names[choice.index]], choice.score, choice.reason) for choice in ranked]
    return Suggestions(images, remarks)


def _rank_for_comparison(evidence: Evidence, scores: str, *, count: int, seed: int, round_key: str) -> list[Choice]:
    if scores == "uncertainty":
        return rank_by_uncertainty(evidence, count=count)
    return rank_at_random(evidence, count=count, rng=keyed_generator(seed, "suggest", round_key))


def _describe(selection: Selection, demand: Demand) -> list[str]:
    """Say which classes are short, and of which no image can be found."""
    ratios = f"alpha {selection.labeling_ratio:.3g}, alpha_max {selection.alpha_max:.3g}"
    if not demand.short:
        return [f"no class is short of its target ({ratios}): images are ranked by expected errors alone"]
    lines = [f"short of their targets: {demand.describe()} ({ratios})"]
    if missing := selection.unpredicted_classes:
        lines.append(
            f"warning: the teacher predicts {', '.join(missing)} nowhere, so no image can be ranked for it: look for it by eye"
        )
    return lines
