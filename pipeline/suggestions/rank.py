"""The order in which images are suggested: by what labels lack, by uncertainty alone, at random."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.suggestions.demand import Demand, spell_share
from pipeline.suggestions.evidence import Evidence
from pipeline.suggestions.series import Series

_WORTH_A_WORD = 0.1
"""Part of a score from which on a class is named in the reason."""


@dataclass(frozen=True)
class Choice:
    """One image, by its place among the evidence, with its score and the reason in words."""

    index: int
    score: float
    reason: str


def rank_by_shortfall(evidence: Evidence, demand: Demand, series: Series, *, count: int, apart: int) -> list[Choice]:
    """Choose images one after another, each the best beside those chosen before it.

    The score of image i is a sum of shares of the labeled pixels that there are, over short classes j,

        s_j o_j (1 - exp(-x_ij / d_j))  summed,  plus  e_i / L,

    with s_j the shortage of a class, d_j = s_j r_j L the labeled pixels that would fill it, x_ij the pixels expected in the
    image, e_i its expected errors, L the labeled pixels, and o_j the part of the demand that is still open: exp(-X_j / d_j) once
    the images chosen so far are expected to hold X_j pixels. While little is chosen, a class counts x_ij / (r_j L): by how much
    the image adds to what is labeled of it. Such a sum is submodular, so greedy choice comes close to the best set.

    Images at most `apart` places from a chosen one in its series wait until no other is left.

    Args:
        evidence: of all unlabeled images.
        demand: what is short; where nothing is, expected errors alone decide.
        series: of the same images.
        count: images to choose; all where there are fewer.
        apart: places; 0 lets none wait.
    """
    classes = demand.short
    gains = [_filled(evidence.right[:, label], demand, label) for label in classes]
    still_open = [1.0] * len(classes)
    errors = evidence.errors / demand.labeled_pixels
    left, free = np.ones(len(errors), bool), np.ones(len(errors), bool)
    chosen: list[Choice] = []
    while len(chosen) < count and left.any():
        # Class by class, so that equal images have equal sums.
        scores = errors.copy()
        for gain, part in zip(gains, still_open, strict=True):
            scores += part * gain
        if not (left & free).any():
            free[:] = True
        best = int(np.argmax(np.where(left & free, scores, -1.0)))
        parts = [(float(part * gain[best]), label) for gain, part, label in zip(gains, still_open, classes, strict=True)]
        chosen.append(Choice(best, float(scores[best]), _reason(evidence, demand, best, parts)))
        left[best] = False
        free[series.neighbors(best, apart=apart)] = False
        for place, label in enumerate(classes):
            still_open[place] *= float(np.exp(-evidence.right[best, label] / demand.pixels[label]))
    return chosen


def rank_by_uncertainty(evidence: Evidence, *, count: int) -> list[Choice]:
    """Choose the images with the most expected errors: what is usually done, for comparing."""
    order = sorted(range(len(evidence.errors)), key=lambda index: -evidence.errors[index])
    return [Choice(index, float(evidence.errors[index]), _expected_errors(evidence, index)) for index in order[:count]]


def rank_at_random(evidence: Evidence, *, count: int, rng: np.random.Generator) -> list[Choice]:
    """Draw images, for comparing; the score is the number drawn."""
    drawn = rng.random(len(evidence.image_ids)).tolist()
    order = sorted(range(len(drawn)), key=lambda index: -drawn[index])
    return [Choice(index, drawn[index], "drawn at random") for index in order[:count]]


def _filled(expected: NDArray[np.float64], demand: Demand, label: int) -> NDArray[np.float64]:
    """Return (N,): what each image alone, with so many pixels expected of a class, fills of its shortage."""
    filled: NDArray[np.float64] = -demand.shortages[label] * np.expm1(-expected / demand.pixels[label])
    return filled


def _reason(evidence: Evidence, demand: Demand, index: int, parts: list[tuple[float, int]]) -> str:
    """Say what an image is chosen for: the classes that make up its score, the largest part first, then expected errors."""
    total = sum(part for part, _ in parts) + evidence.errors[index] / demand.labeled_pixels
    named = [label for part, label in sorted(parts, reverse=True) if part > 0 and part >= _WORTH_A_WORD * total]
    texts: list[str] = []
    for label in named:
        pixels, short = round(evidence.right[index, label]), spell_share(demand.shortages[label])
        amount = f"{pixels:,} pixels" if pixels > 1 else "a pixel"
        start, end = ("likely holds ", ", which is short of {} of its target") if not texts else ("", ", short of {}")
        texts.append(f"{start}{amount} of {demand.class_names[label]}{end.format(short)}")
    return "; ".join([*([", and ".join(texts)] if texts else []), _expected_errors(evidence, index)])


def _expected_errors(evidence: Evidence, index: int) -> str:
    errors, pixels = float(evidence.errors[index]), int(evidence.pixels[index])
    return f"{round(errors):,} of its {pixels:,} pixels ({100 * errors / pixels:.1f} %) are likely wrong"
