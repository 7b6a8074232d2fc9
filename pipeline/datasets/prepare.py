"""From raw data to what every stage reads: catalogs, checked sample lists, class priors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.check import check_samples
from pipeline.datasets.data_set import DataSet
from pipeline.datasets.find import find_data_set, find_source, source_place
from pipeline.datasets.folders.archive import name_archives
from pipeline.datasets.splits import Split, build_split
from pipeline.datasets.target_priors import target_priors
from pipeline.machine.progress import Progress
from pipeline.params import DataParams
from pipeline.randomness import keyed_generator
from pipeline.samples.class_frequencies import check_pixels
from pipeline.samples.images import is_turned
from pipeline.samples.prior_intervals import PriorIntervals
from pipeline.samples.priors import ClassPriors
from pipeline.samples.sample_lists import Sample, unlabeled_view, write_ids, write_samples

FEW_IMAGES = 5
"""Validation images below which a measure is not worth much."""

Counted = tuple[list[Sample], NDArray[np.int64]]
"""Samples, and (N, C) the pixels of each class in the label file of each."""


def prepare_data_set(
    params: DataParams, folder: Path, *, out: Path, lists: Path, seed: int, workers: int, progress: Progress
) -> list[str]:
    """Find or draw the data set, check every file, split it, count the labeled classes.

    Args:
        params: the `data` section.
        folder: is written to.
        out: where `folder` will come to lie; the lists name drawn files as below it.
        lists: folder of the user's own lists of image ids.
        seed: of the split.
        workers: threads that read files.
        progress: shows the images that are checked.

    Returns:
        What a person should know of the result, line by line.

    Raises:
        ValueError: the data set is incomplete, a file is damaged, or a list or the split asks for what is not there.
    """

    def spell(text: str) -> str:
        if params.source == "folder":
            text = name_archives(text, Path(params.source_root), source_place(params, folder))
        return name_archives(text, Path(params.root), folder)

    try:
        remarks = _prepare(params, folder, out=out, lists=lists, seed=seed, workers=workers, progress=progress)
    except ValueError as error:
        raise ValueError(spell(str(error))) from error
    return [spell(remark) for remark in remarks]


def _prepare(
    params: DataParams, folder: Path, *, out: Path, lists: Path, seed: int, workers: int, progress: Progress
) -> list[str]:
    data_set = find_data_set(params, drawn=folder, workers=workers)
    source = find_source(params, data_set, drawn=folder, workers=workers)
    split = build_split(data_set, source, params, lists=lists, seed=seed)
    # Two, because the labeled images of another data set spell their labels in their own way.
    data_set.catalog.write(folder / "catalog.json")
    source.catalog.write(folder / "labeled_catalog.json")

    def write_part(name: str, origin: DataSet, image_ids: Sequence[str], *, labels_required: bool = True) -> Counted:
        checked = check_samples(origin, image_ids, labels_required=labels_required, workers=workers)
        pairs = list(progress(checked, total=len(image_ids), unit=f"{name} image"))
        samples = [sample.moved(folder, out) for sample, _ in pairs]
        counts = np.array([counts for _, counts in pairs], np.int64).reshape(len(pairs), origin.catalog.num_classes)
        if labels_required and image_ids:
            check_pixels(counts.sum(axis=0), where=f"{name} images")
        write_ids(folder / f"{name}.txt", image_ids)
        write_samples(folder / f"{name}.tsv", samples if labels_required else map(unlabeled_view, samples))
        return samples, counts

    learned, learned_counts = write_part("labeled", source, split.labeled)
    kept_out, kept_out_counts = write_part("holdout", source, split.holdout)
    unlabeled, _ = write_part("unlabeled", data_set, split.unlabeled, labels_required=False)
    # Where label files exist they serve to measure pseudo labels; the list that trains does not know them.
    write_samples(folder / "unlabeled_truth.tsv", (sample for sample in unlabeled if sample.labels))
    _, val = write_part("val", data_set, split.val)
    by_image = np.concatenate([learned_counts, kept_out_counts])
    labeled = by_image.sum(axis=0)
    names = data_set.catalog.class_names
    check_void(source, labeled, pixels=sum(sample.height * sample.width for sample in (*learned, *kept_out)))
    target = target_priors(params.priors, data_set, labeled=labeled, val=val.sum(axis=0), lists=lists, workers=workers)
    ClassPriors.build(names, target=target, labeled=labeled, origin=params.priors).write(folder / "class_priors.json")
    rng = keyed_generator(seed, "prior intervals")
    PriorIntervals.build(names, by_image, rng).write(folder / "prior_intervals.json")
    shown = [source.pairs[image_id] for image_id in (*split.labeled, *split.holdout)]
    turned = sum(is_turned(pair.image) for pair in (*shown, *(data_set.pairs[image_id] for image_id in split.val)))
    remarks = [*data_set.remarks, *(source.remarks if source is not data_set else ())]
    twice = sorted(set(split.val) & data_set.val.keys() & {*data_set.train, *data_set.extra})
    return [*remarks, *describe_split(split, absent_classes(names, labeled), turned=turned, twice=twice)]


def absent_classes(class_names: Sequence[str], pixels: NDArray[np.int64]) -> list[str]:
    """Return the classes without a pixel; `pixels` are (C,)."""
    return [name for name, count in zip(class_names, pixels.tolist(), strict=True) if not count]


def check_void(data_set: DataSet, labeled: NDArray[np.int64], *, pixels: int) -> None:
    """Refuse a class that is nowhere labeled while pixels are ignored by a value that nobody called void: a mask of 0 and 255.

    Args:
        data_set: that the labels are of.
        labeled: (C,) labeled pixels of each class.
        pixels: of all labeled images.

    Raises:
        ValueError: so it is.
    """
    absent, ignored = absent_classes(data_set.catalog.class_names, labeled), pixels - int(labeled.sum())
    if absent and ignored and (void := data_set.assumed_void) is not None:
        raise ValueError(
            f"labeled images - expected pixels of every class - found none of {', '.join(absent)[:200]}, while"
            f" {100 * ignored / pixels:.1f} % of the pixels are {void}, which is no class unless classes.yaml says so - if"
            f" {absent[0]} is drawn as {void}, declare it: {{name: {absent[0]}, id: {void}}}; if {void} is no class, say"
            f" `ignore: [{void}]`"
        )


def describe_split(split: Split, absent: Sequence[str], *, turned: int, twice: Sequence[str]) -> list[str]:
    """Say what became of the images, and what a person should mend.

    Args:
        split: of the images.
        absent: classes that no labeled pixel shows.
        turned: images with label files that viewers turn.
        twice: ids that train and validation images share.
    """
    lines = [f"{len(split.labeled)} labeled, {len(split.unlabeled)} unlabeled, {len(split.val)} validation images"]
    if twice:
        lines.append(f"{len(twice)} train images left out, whose ids validation images have too: {', '.join(twice)[:200]}")
    if turned:
        lines.append(f"{turned} images with label files are turned by their EXIF orientation: the labels must show them upright")
    if len(split.val) < FEW_IMAGES:
        lines.append(f"mIoU over {len(split.val)} validation images is a weak measure: label more, or raise data.val_fraction")
    if not split.unlabeled:
        lines.append("no image is left unlabeled: fine for round 0 alone, but rounds of self-training will stop at `infer`")
    if absent:
        lines.append(f"no labeled pixel shows {', '.join(absent)}: a network can hardly learn that")
    return lines
