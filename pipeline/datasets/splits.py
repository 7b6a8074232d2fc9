"""Which images are labeled, unlabeled and evaluated on: drawn from the seed, nested, or given by the user's lists."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.params import DataParams
from pipeline.randomness import keyed_generator
from pipeline.samples.sample_lists import read_ids


@dataclass(frozen=True)
class Split:
    """Image ids, each list sorted; those of one data set are disjoint.

    Attributes:
        labeled: whose labels train; in domain adaptation ids of the source.
        unlabeled: to be pseudo-labeled.
        val: to evaluate on.
        holdout: labeled images, of the same data set, that no network trains on.
    """

    labeled: list[str]
    unlabeled: list[str]
    val: list[str]
    holdout: list[str]


def _draw(pool: Collection[str], count: int, *, seed: int, name: str, candidates: Collection[str] | None = None) -> list[str]:
    """Draw `count` image ids, sorted, among the candidates of a pool; None = all of it.

    The pool is shuffled once per seed and the first candidates are taken, so a smaller draw lies in a larger one: 1/8 of the
    train images in 1/4 of them. And it stays the same when an image that was not drawn loses its label file.
    """
    order = [str(image_id) for image_id in keyed_generator(seed, name).permutation(sorted(pool))]
    return sorted([image_id for image_id in order if candidates is None or image_id in candidates][:count])


def draw_labeled(pool: Mapping[str, Pair], *, fraction: float, seed: int) -> list[str]:
    """Draw the labeled images of a train pool among those that have a label file.

    The fraction, in (0, 1], is that of the pool; rounded, but one image at least is labeled and, below 1, one is not. 1 takes
    every image that has a label file.

    Raises:
        ValueError: the pool has too few label files.
    """
    candidates = {image_id for image_id, pair in pool.items() if pair.labels}
    count = len(candidates) if fraction == 1.0 else min(max(round(fraction * len(pool)), 1), len(pool) - 1)
    if not 1 <= count <= len(candidates):
        bare = next((f"{pair.image}" for pair in pool.values() if not pair.labels), "the data set")
        raise ValueError(
            f"data.labeled_fraction - expected label files for {max(count, 1)} of {len(pool)} train images"
            f" - found {len(candidates)}, none for {bare} - add label files, lower the fraction, or set it to 1.0 for all"
        )
    return _draw(pool, count, seed=seed, name="split", candidates=candidates)


def build_split(data_set: DataSet, source: DataSet, params: DataParams, *, lists: Path, seed: int) -> Split:
    """Split a data set, which gives the unlabeled and the validation images, as the `data` section says.

    The source gives the labeled images: the same data set but in domain adaptation. `lists` is the folder of the user's own
    lists. No image is unlabeled where every one is labeled, none held out unless the parameters say so.

    Raises:
        ValueError: a list is missing, empty or names unknown images, the sets overlap, or there is no labeled or no validation
            image.
    """
    known = data_set.pairs
    val = _val(data_set, params, lists=lists, seed=seed)
    # Only what is drawn or derived keeps clear of the validation images; lists that overlap are the user's to correct.
    pool = {image_id: pair for image_id, pair in data_set.train.items() if image_id not in set(val)}
    adapts = source is not data_set
    labeled = _labeled(source, source.train if adapts else pool, params, lists=lists, seed=seed)
    if params.unlabeled_list is None:
        unlabeled = sorted({*pool, *data_set.extra} - set(() if adapts else labeled) - set(val))
    else:
        unlabeled = read_ids(lists / params.unlabeled_list, known)
    if params.unlabeled_count is not None:
        if params.unlabeled_count > len(unlabeled):
            raise ValueError(
                f"params.yaml - data.unlabeled_count - expected at most the {len(unlabeled)} unlabeled images that there are"
                f" - found {params.unlabeled_count} - lower it, or set it to null for all"
            )
        unlabeled = _draw(unlabeled, params.unlabeled_count, seed=seed, name="unlabeled")
    _check_disjoint("unlabeled", unlabeled, "val", val)
    if not adapts:
        _check_disjoint("labeled", labeled, "unlabeled", unlabeled)
        _check_disjoint("labeled", labeled, "val", val)
    holdout = _draw(labeled, _holdout_count(len(labeled), params.holdout_fraction), seed=seed, name="holdout")
    return Split(sorted(set(labeled) - set(holdout)), sorted(unlabeled), sorted(val), holdout)


def _holdout_count(images: int, fraction: float) -> int:
    if fraction == 0:
        return 0
    if images < 2:
        raise ValueError(
            f"params.yaml - data.holdout_fraction - expected two labeled images at least, one to learn from and one to hold out"
            f" - found {images} - set it to 0 or label more images"
        )
    return min(max(round(fraction * images), 1), images - 1)


def _val(data_set: DataSet, params: DataParams, *, lists: Path, seed: int) -> list[str]:
    """Return the images to evaluate on: the user's list, the data set's own part, or a draw."""
    if params.val_list is not None:
        return read_ids(lists / params.val_list, data_set.pairs)
    if data_set.val:
        return sorted(data_set.val)
    candidates = {image_id for image_id, pair in data_set.train.items() if pair.labels}
    if len(candidates) < 2:
        raise ValueError(
            f"params.yaml - data.val_list - expected two images with label files at least, to learn from and to evaluate on"
            f" - found {len(candidates)} - label more images"
        )
    count = min(max(round(params.val_fraction * len(candidates)), 1), len(candidates) - 1)
    return _draw(data_set.train, count, seed=seed, name="val", candidates=candidates)


def _labeled(data_set: DataSet, pool: Mapping[str, Pair], params: DataParams, *, lists: Path, seed: int) -> list[str]:
    """Return the labeled images: the user's list, the data set's own labeled set, or a draw."""
    if params.labeled_list is not None:
        return read_ids(lists / params.labeled_list, data_set.pairs)
    if params.labeled_fraction is not None:
        return draw_labeled(pool, fraction=params.labeled_fraction, seed=seed)
    if data_set.labeled is None:
        raise ValueError(
            f"params.yaml - data.labeled_fraction - expected a fraction, as {data_set.catalog.name} defines no labeled set of its"
            " own - found null - set it to 1.0 for every image with a label file, or name a data.labeled_list"
        )
    return sorted(data_set.labeled & set(pool))


def _check_disjoint(name: str, image_ids: Collection[str], other: str, other_ids: Collection[str]) -> None:
    if shared := sorted(set(image_ids) & set(other_ids)):
        raise ValueError(f"data lists - expected {name} and {other} to be disjoint - both hold {shared[0]} - remove it from one")
