"""DARS and the methods beside it on anybody's softmax maps: thresholds, then pseudo labels; without torch, and without files."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dars.softmax import count_confidences, round_maps
from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.pseudo_labels import count_drawable_pixels, label_image
from pipeline.labeling.sampling import draw_quotas
from pipeline.labeling.solve import METHODS, solve_class_thresholds
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.selection import Selection
from pipeline.softmax_store.quantized_map import Precision, precision_of

Method = Literal["none", "st", "cbst", "da", "dars"]
FloatType = Literal["float16", "float32"]

__all__ = ["Selection", "labels", "thresholds"]


def thresholds(
    softmax: Iterable[ArrayLike],
    priors: ArrayLike,
    *,
    alpha: float,
    method: Method = "dars",
    precision: FloatType = "float16",
    class_names: Sequence[str] | None = None,
    thin: Literal["all", "ties"] = "all",
    equal_pixels: bool = False,
    st_confidence: float | None = None,
) -> Selection:
    """Solve for the exact class thresholds of a set of unlabeled images, as the stage `solve_thresholds` does.

    Only counts are kept, so memory does not grow with the number of maps.

    Args:
        softmax: (C, H, W) each, of any size, in [0, 1]; each pixel sums to 1. With `float32` they are gone through twice.
        priors: (C,), class shares that pseudo labels are aligned with, or pixel counts: only their ratio matters.
        alpha: labeling ratio in (0, 1]: pseudo-labeled pixels over all pixels.
        method: `dars`, the paper's, `da`, `cbst`, `st`, or `none`.
        precision: to which probabilities are rounded before anything is compared: `float16` counts in one pass, and many pixels
            then tie; `float32` in two.
        class_names: (C,); by default the classes are named by their numbers.
        thin: what `dars` draws among: `all` that qualifies, or the `ties` at the threshold alone.
        equal_pixels: thin `st`, `cbst` and `da` at random to their targets as well.
        st_confidence: a fixed threshold for `st`.

    Returns:
        What is to be labeled: `class_thresholds` (None: no pixel of that class qualifies), `sampling_rates`, `targets`,
        `realized_counts`, `shortfalls`, `coverage`, `alpha_max` and more, each (C,) or a number.

    Raises:
        ValueError: an argument is wrong, or a map is none.

    Reference: He et al., Eq. 3-4.
    """
    if method not in METHODS:
        raise ValueError(f"method - expected one of {', '.join(METHODS)} - found {method} - correct it")
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha - expected a labeling ratio above 0, at most 1 - found {alpha} - correct it")
    if st_confidence is not None and not 0 < st_confidence <= 1:
        raise ValueError(f"st_confidence - expected a probability above 0, at most 1 - found {st_confidence} - correct it")
    if thin not in {"all", "ties"}:
        raise ValueError(f"thin - expected all or ties - found {thin} - correct it")
    shares = _shares(priors)
    classes, kind = len(shares), _precision(precision, len(shares))
    if class_names is not None and len(class_names) != classes:
        raise ValueError(f"class_names - expected one for each of {classes} priors - found {len(class_names)} - correct them")
    if kind.finer_columns > 1:
        _check_repeats(softmax)
    counts = np.zeros((classes, kind.num_columns), np.int64)
    for rounded in round_maps(softmax, kind, classes):
        counts += count_confidences(rounded, kind, classes)
    if not counts.any():
        raise ValueError("softmax - expected maps to label - found none - give one at least")
    problem = Problem(
        counts=counts,
        values=kind.values,
        class_priors=shares,
        labeling_ratio=float(alpha),
        equal_pixels=equal_pixels,
        st_confidence=st_confidence,
        thin=thin,
    )
    if kind.finer_columns > 1:
        problem = _refined(problem, method, softmax, kind)
    return solve_class_thresholds(method, problem, class_names=class_names or [str(label) for label in range(classes)])


def labels(
    softmax: Iterable[ArrayLike],
    selection: Selection,
    *,
    image_ids: Sequence[str] | None = None,
    seed: int = 0,
    round_key: str = "1",
    precision: FloatType = "float16",
) -> Iterator[NDArray[np.uint8]]:
    """Draw the pseudo labels of the images that `selection` was solved for, as the stage `sample_labels` does.

    Exactly `selection.realized_counts` pixels are labeled in all of them together. The maps are gone through twice, and one at a
    time is held: first to deal out how many pixels each image gives, then to label them.

    Args:
        softmax: the maps that `thresholds` has seen, in any order if `image_ids` go with them.
        selection: what `thresholds` returned.
        image_ids: name the images; by default their numbers. The same id, seed and round give the same pixels of an image.
        seed: of the draws.
        round_key: names the round of self-training, so that each draws anew.
        precision: as given to `thresholds`.

    Yields:
        (H, W) uint8 for each map: the class of a labeled pixel, 255 for any other.

    Raises:
        ValueError: the maps are not those of the selection.

    Reference: He et al., Algorithm 1, lines 5-6.
    """
    classes, kind = len(selection.class_names), _precision(precision, len(selection.class_names))
    _check_repeats(softmax)
    everything = selection.model_copy(update={"keep_thresholds": (None,) * classes})
    drawable, qualifying = [], np.zeros(classes, np.int64)
    for rounded in round_maps(softmax, kind, classes):
        drawable.append(count_drawable_pixels(*rounded, selection))
        qualifying += count_drawable_pixels(*rounded, everything)
    if tuple(qualifying.tolist()) != selection.qualifying_counts:
        raise ValueError(
            f"softmax - expected the maps that the thresholds were solved for, of which {selection.qualifying_counts} pixels by"
            f" class qualify - found {qualifying.tolist()} - give the same maps and the same precision"
        )
    names = [str(index) for index in range(len(drawable))] if image_ids is None else list(image_ids)
    if len(set(names)) != len(drawable):
        raise ValueError(f"image_ids - expected one for each of {len(drawable)} maps - found {len(set(names))} - correct them")
    quotas = draw_quotas(drawable, selection.draws, seed=seed, round_key=round_key)
    rows = zip(round_maps(softmax, kind, classes), drawable, quotas, names, strict=True)
    return (
        label_image(*rounded, selection, own, quota, seed=seed, round_key=round_key, image_id=name)[0]
        for rounded, own, quota, name in rows
    )


def _refined(problem: Problem, method: str, softmax: Iterable[ArrayLike], precision: Precision) -> Problem:
    """Go through the maps a second time and count single values where thresholds lie."""
    # It comes with the reader of stores, which whoever stays with float16 need not wait for.
    from pipeline.labeling.refine import refine, threshold_columns

    columns = threshold_columns(method, problem)
    finer = np.zeros((len(columns), precision.finer_columns), np.int64)
    for rounded in round_maps(softmax, precision, len(columns)):
        finer += precision.count_finer(*rounded, columns)
    return refine(problem, columns, finer)


def _shares(priors: ArrayLike) -> NDArray[np.float64]:
    given = np.asarray(priors, np.float64)
    if given.ndim != 1 or not 2 <= len(given) <= IGNORE_INDEX:
        raise ValueError(
            f"priors - expected (C,), shares or pixel counts of 2 to {IGNORE_INDEX} classes - found {given.shape} - correct them"
        )
    whole = float(given.sum())
    # NaN fails every comparison.
    if not (given.min() >= 0 and 0 < whole < np.inf):
        raise ValueError(f"priors - expected values of 0 or more, not all 0 - found {given.tolist()} - correct them")
    # Shares that add up to 1 but for rounding stay as they are.
    return given if abs(whole - 1) <= 1e-9 else given / whole


def _precision(name: str, num_classes: int) -> Precision:
    if name not in {"float16", "float32"}:
        raise ValueError(f"precision - expected float16 or float32 - found {name} - correct it")
    return precision_of(name, num_classes)


def _check_repeats(softmax: Iterable[ArrayLike]) -> None:
    if iter(softmax) is softmax:
        raise ValueError(
            "softmax - expected maps that can be gone through twice, such as a list - found an iterator, which is used up by one"
            ' pass - give a list, of np.load(path, mmap_mode="r") for instance, which reads each map when it is asked for'
        )
