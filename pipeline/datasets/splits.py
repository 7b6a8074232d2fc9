"""Which images of the train pool are labeled: drawn from the seed, nested across fractions, or given by the user's lists."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets.samples import read_ids
from pipeline.datasets.sources import Source
from pipeline.params import DataParams
from pipeline.randomness import keyed_generator


@dataclass(frozen=True)
class Split:
    """Image ids, each list sorted; labeled, unlabeled and val are disjoint."""

    labeled: list[str]
    unlabeled: list[str]
    val: list[str]


def draw_labeled(pool: Collection[str], *, fraction: float, seed: int) -> list[str]:
    """Draw the labeled images of a train pool.

    The pool is shuffled once per seed and its first images are taken, so the set of a smaller fraction lies in that of a larger
    one (method.md, section 7: Cityscapes' 1/8 in its 1/4).

    Args:
        pool: image ids of the train pool; two at least.
        fraction: share to label, in (0, 1); rounded, but one image at least is labeled and one is left unlabeled.
        seed: of the shuffle.
    """
    if len(pool) < 2:
        raise ValueError(f"train pool - expected two images at least, one to label - found {len(pool)} - add images")
    order = keyed_generator(seed, "split").permutation(sorted(pool))
    count = min(max(round(fraction * len(pool)), 1), len(pool) - 1)
    return sorted(str(image_id) for image_id in order[:count])


def build_split(source: Source, params: DataParams, *, seed: int) -> Split:
    """Split a data set as its parameters say.

    Raises:
        ValueError: a list is missing, empty or names unknown images, the sets overlap, a labeled or val image has no label file,
            or nothing is left unlabeled.
    """
    if params.labeled_list is None:
        labeled = draw_labeled(
            [name for name, pair in source.train.items() if pair.labels], fraction=params.labeled_fraction, seed=seed
        )
    else:
        labeled = sorted(read_ids(Path(params.labeled_list), source.train))
    if params.unlabeled_list is None:
        unlabeled = sorted(set(source.train) - set(labeled))
    else:
        unlabeled = sorted(read_ids(Path(params.unlabeled_list), source.train))
    val = sorted(source.val) if params.val_list is None else sorted(read_ids(Path(params.val_list), {*source.train, *source.val}))
    for (name, ids), (other, other_ids) in (
        (("labeled", labeled), ("unlabeled", unlabeled)),
        (("labeled", labeled), ("val", val)),
        (("unlabeled", unlabeled), ("val", val)),
    ):
        if shared := sorted(set(ids) & set(other_ids)):
            raise ValueError(
                f"data lists - expected {name} and {other} to be disjoint - both hold {shared[0]} - remove it from one"
            )
    for name, ids in (("labeled", labeled), ("unlabeled", unlabeled), ("val", val)):
        if not ids:
            raise ValueError(
                f"data lists - expected at least one {name} image - found none - change the lists or data.labeled_fraction"
            )
    return Split(labeled, unlabeled, val)
