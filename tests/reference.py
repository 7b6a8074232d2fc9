"""Slow, obvious re-implementations, written from the method's description: the oracles of the property tests.

Plain Python lists, loops and fractions; nothing of `pipeline` is imported, so a mistake there cannot repeat itself here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Expected:
    """What a method must come to; every list has one entry per class."""

    thresholds: list[float | None]
    targets: list[int]
    predicted: list[int]
    qualifying: list[int]
    certain: list[int]
    realized: list[int]
    shortfalls: list[int]
    coverage: float
    alpha_max: float


def largest_remainder(total: int, shares: Sequence[Fraction]) -> list[int]:
    exact, parts = _split(total, shares)
    order = sorted(range(len(parts)), key=lambda j: (parts[j] - exact[j], j))
    for j in order[: total - sum(parts)]:
        parts[j] += 1
    return parts


def is_decided(total: int, shares: Sequence[Fraction]) -> bool:
    """Whether the last unit goes to a class by more than the rounding of floating-point numbers."""
    exact, parts = _split(total, shares)
    remainders = sorted((exact[j] - parts[j] for j in range(len(parts))), reverse=True)
    given = total - sum(parts)
    return given == 0 or remainders[given - 1] - remainders[given] > Fraction(1, 10**9)


def _split(total: int, shares: Sequence[Fraction]) -> tuple[list[Fraction], list[int]]:
    whole = sum(shares, start=Fraction(0))
    exact = [total * share / whole if whole else Fraction(0) for share in shares]
    return exact, [math.floor(value) for value in exact]


def nth_largest(values: Sequence[float], rank: int) -> float | None:
    """The smallest value where there are fewer than `rank`; None where nothing is asked for or there is nothing."""
    ordered = sorted(values, reverse=True)
    return ordered[min(rank, len(ordered)) - 1] if ordered and rank > 0 else None


def at_least(values: Sequence[float], threshold: float | None) -> int:
    return 0 if threshold is None else sum(1 for value in values if value >= threshold)


def solve(
    method: str,
    by_class: Sequence[Sequence[float]],
    priors: Sequence[float],
    *,
    alpha: float,
    equal_pixels: bool = False,
    st_confidence: float | None = None,
    thin: str = "all",
) -> Expected:
    """Solve for the thresholds by sorting the confidences of the pixels predicted as each class."""
    predicted = [len(values) for values in by_class]
    pixels = sum(predicted)
    total = round(alpha * pixels)
    thresholds: list[float | None] = [None] * len(by_class)
    targets = [0] * len(by_class)
    if method == "st":
        merged = [value for values in by_class for value in values]
        one = nth_largest(merged, total) if st_confidence is None else st_confidence
        thresholds = [one] * len(by_class)
        shares = [at_least(values, one) for values in by_class]
        unbounded = st_confidence is not None and not equal_pixels
        targets = largest_remainder(sum(shares) if unbounded else min(total, sum(shares)), [Fraction(q) for q in shares])
    elif method == "cbst":
        targets = [round(alpha * m) for m in predicted]
    elif method in {"da", "dars"}:
        targets = largest_remainder(total, [Fraction(prior) for prior in priors])
    if method in {"cbst", "da", "dars"}:
        thresholds = [nth_largest(values, target) for values, target in zip(by_class, targets, strict=True)]
    qualifying = [at_least(values, threshold) for values, threshold in zip(by_class, thresholds, strict=True)]
    thinned = method == "dars" or (equal_pixels and method != "none")
    realized = [min(target, q) for target, q in zip(targets, qualifying, strict=True)] if thinned else qualifying
    above = [
        0 if threshold is None else sum(1 for value in values if value > threshold)
        for values, threshold in zip(by_class, thresholds, strict=True)
    ]
    certain = qualifying if not thinned else above if method == "dars" and thin == "ties" else [0] * len(by_class)
    return Expected(
        thresholds=thresholds,
        targets=targets,
        predicted=predicted,
        qualifying=qualifying,
        certain=certain,
        realized=realized,
        shortfalls=[max(target - count, 0) for target, count in zip(targets, realized, strict=True)],
        coverage=sum(realized) / pixels,
        alpha_max=min(m / (pixels * prior) for m, prior in zip(predicted, priors, strict=True) if prior > 0),
    )


def confusion(labels: Sequence[int], prediction: Sequence[int], num_classes: int) -> list[list[int]]:
    """Rows true, columns predicted, the last column for valid pixels without a prediction."""
    table = [[0] * (num_classes + 1) for _ in range(num_classes)]
    for true, predicted in zip(labels, prediction, strict=True):
        if true < num_classes:
            table[true][predicted if predicted < num_classes else num_classes] += 1
    return table


def iou(labels: Sequence[int], prediction: Sequence[int], num_classes: int) -> list[float | None]:
    """None for a class that occurs neither in the labels nor, on valid pixels, in the prediction."""
    valid = [(true, predicted) for true, predicted in zip(labels, prediction, strict=True) if true < num_classes]
    result: list[float | None] = []
    for j in range(num_classes):
        both = sum(1 for true, predicted in valid if true == j and predicted == j)
        either = sum(1 for true, predicted in valid if j in {true, predicted})
        result.append(both / either if either else None)
    return result


def mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return math.fsum(present) / len(present) if present else None


def kl(reference: Sequence[float], other: Sequence[float]) -> float:
    """D_KL(reference || other) in nats, both normalized."""
    whole, other_whole = math.fsum(reference), math.fsum(other)
    total = 0.0
    for share, other_share in zip(reference, other, strict=True):
        if share > 0 and other_share == 0:
            return math.inf
        if share > 0:
            total += share / whole * math.log((share / whole) / (other_share / other_whole))
    return total


@dataclass(frozen=True)
class Wanted:
    """What labels lack, by class, and how much is labeled."""

    shortages: list[float]
    demands: list[float]
    labeled_pixels: int


def wanted(by_class: Sequence[Sequence[float]], priors: Sequence[float], *, alpha: float, labeled_pixels: int) -> Wanted:
    """Hold the target of each class against the pixels predicted as it."""
    targets = largest_remainder(round(alpha * sum(map(len, by_class))), [Fraction(prior) for prior in priors])
    pairs = zip(targets, by_class, strict=True)
    shortages = [max(target - len(values), 0) / target if target else 0.0 for target, values in pairs]
    return Wanted(shortages, [s * r * labeled_pixels for s, r in zip(shortages, priors, strict=True)], labeled_pixels)


def worth(images: Sequence[Sequence[tuple[int, float]]], wants: Wanted) -> float:
    """What a set of images is worth, each given as class and confidence of every pixel: shares of what is labeled."""
    total = math.fsum(1 - confidence for image in images for _, confidence in image) / wants.labeled_pixels
    for label, (shortage, demand) in enumerate(zip(wants.shortages, wants.demands, strict=True)):
        if shortage:
            expected = math.fsum(confidence for image in images for own, confidence in image if own == label)
            total += shortage * (1 - math.exp(-expected / demand))
    return total


def series(image_id: str) -> tuple[str, int] | None:
    """The text before the last separator and number, and the number; None where a name ends with no number."""
    text = image_id.rstrip("0123456789")
    if text == image_id:
        return None
    digits = image_id[len(text) :]
    while text and not text[-1].isalnum():
        text = text[:-1]
    return text, int(digits)


def are_neighbors(first: str, second: str, image_ids: Sequence[str], *, apart: int) -> bool:
    """Whether two images are at most `apart` places from each other in one series."""
    ours, theirs = series(first), series(second)
    if first == second or ours is None or theirs is None or ours[0] != theirs[0]:
        return first == second
    own = [(found[1], name) for name in image_ids if (found := series(name)) is not None and found[0] == ours[0]]
    names = [name for _, name in sorted(own)]
    return abs(names.index(first) - names.index(second)) <= apart
