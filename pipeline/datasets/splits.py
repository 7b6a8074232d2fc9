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


def draw_labeled(candidates: Collection[str], *, fraction: float, seed: int, pool_size: int) -> list[str]:
    """Draw the labeled images of a train pool.

    The candidates are shuffled once per seed and the first are taken, so the set of a smaller fraction lies in that of a larger
    one (method.md, section 7: Cityscapes' 1/8 in its 1/4).

    Args:
        candidates: image ids of the train pool that have a label file.
        fraction: share of the pool to label, in (0, 1); rounded, but one image at least is labeled and one is left unlabeled.
        seed: of the shuffle.
        pool_size: images of the train pool, those without a label file included.

    Raises:
        ValueError: there is none to label, or none would be left.
    """
    most = min(len(candidates), pool_size - 1)
    if most < 1:
        raise ValueError(
            f"train pool - expected two images at least, one of them with labels - found {pool_size} and {len(candidates)}"
            " - add images"
        )
    order = keyed_generator(seed, "split").permutation(sorted(candidates))
    return sorted(str(image_id) for image_id in order[: min(max(round(fraction * pool_size), 1), most)])


def build_split(source: Source, params: DataParams, *, lists: Path, seed: int) -> Split:
    """Split a data set as its parameters say.

    Args:
        source: the data set.
        params: the `data` section.
        lists: folder of the user's own lists.
        seed: of the draw.

    Raises:
        ValueError: a list is missing, empty or names unknown images, the sets overlap, a labeled or val image has no label file,
            or nothing is left unlabeled.
    """
    known = {*source.train, *source.val}
    val = sorted(source.val) if params.val_list is None else read_ids(lists / params.val_list, known)
    # Only what is drawn or derived keeps clear of the validation images; lists that overlap are the user's to correct.
    pool = sorted(set(source.train) - set(val))
    if params.labeled_list is None:
        candidates = [image_id for image_id in pool if source.train[image_id].labels]
        labeled = draw_labeled(candidates, fraction=params.labeled_fraction, seed=seed, pool_size=len(pool))
    else:
        labeled = read_ids(lists / params.labeled_list, known)
    if params.unlabeled_list is None:
        unlabeled = sorted(set(pool) - set(labeled))
    else:
        unlabeled = read_ids(lists / params.unlabeled_list, known)
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
    return Split(sorted(labeled), sorted(unlabeled), sorted(val))
