"""Where corrected labels go: beside the label files of a folder of one's own, or with all of a data set into a new one."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.annotations.material import PARTS
from pipeline.datasets.folders.classes import CLASSES_FILE
from pipeline.datasets.folders.names import key_of, one_form
from pipeline.datasets.folders.own import label_folder, look_at_own
from pipeline.files import atomic_path, digest, write_text
from pipeline.inspection.proposal import spell_catalog
from pipeline.machine.progress import Progress
from pipeline.params import DataParams
from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.images import labels_of, read_label_png, read_labels, write_label_png
from pipeline.samples.sample_lists import Sample, read_samples


@dataclass(frozen=True)
class Lists:
    """The images of an experiment, by part and id.

    Attributes:
        samples: of each part; those of `unlabeled` that have label files to be measured with have these here.
        catalog: how label files spell classes.
    """

    samples: Mapping[str, Mapping[str, Sample]]
    catalog: Catalog

    @property
    def labeled(self) -> int:
        """Return the number of labeled images, those held out included."""
        return len(self.samples["labeled"]) + len(self.samples["holdout"])

    @property
    def all(self) -> dict[str, Sample]:
        """Return the samples of all parts."""
        return {image_id: sample for part in self.samples.values() for image_id, sample in part.items()}


def read_experiment(prepared: Path, params: DataParams) -> Lists:
    """Read what `prepare` wrote.

    Raises:
        ValueError: a list is missing or damaged, or the labeled images are those of another data set.
    """
    if params.source is not None:
        raise ValueError(
            f"params.yaml - data.source - expected an experiment whose labeled images are of its own data set - found"
            f" {params.source} - set it to null"
        )
    samples: dict[str, dict[str, Sample]] = {}
    for part in PARTS:
        read = read_samples(prepared / f"{part}.tsv", labels=part != "unlabeled", may_be_empty=True)
        samples[part] = {sample.image_id: sample for sample in read}
    truth = read_samples(prepared / "unlabeled_truth.tsv", labels=True, may_be_empty=True)
    samples["unlabeled"] |= {sample.image_id: sample for sample in truth if sample.image_id in samples["unlabeled"]}
    return Lists(samples, Catalog.read(prepared / "catalog.json"))


def without_val(lists: Lists, corrected: Mapping[str, Path]) -> tuple[dict[str, Path], list[str]]:
    """Return the corrected labels that may train, and a line on those of validation images, which may not.

    Raises:
        ValueError: all are of validation images.
    """
    val = sorted(corrected.keys() & lists.samples["val"].keys())
    if len(val) == len(corrected):
        raise ValueError(
            f"--from - expected labels of images that may train - found validation images alone, {val[0]} - annotate others"
        )
    line = f"{len(val)} validation images left out, as what they measure must not train: {', '.join(val)[:200]}"
    return {image_id: file for image_id, file in corrected.items() if image_id not in val}, [line] * bool(val)


def place_labels(
    into: Path, lists: Lists, corrected: Mapping[str, Path], *, replace: bool, workers: int, progress: Progress
) -> str:
    """Write corrected labels into a folder of one's own, and make it where there is none.

    Args:
        into: a folder with `images`, `labels` and `classes.yaml`, which gets more label files; or nothing yet, which gets all
            images of the experiment with the label files that these have.
        lists: of the experiment.
        corrected: palette PNGs of train ids, by image id.
        replace: whether label files that say something else are replaced.
        workers: threads.
        progress: shows the images.

    Returns:
        What was done, in words.

    Raises:
        ValueError: the folder is of another kind, lacks an image or a class, or has other labels already.
    """
    if into.exists() and (into.is_file() or any(into.iterdir())):
        return _add(into, lists, corrected, replace=replace, workers=workers)
    return _build(into, lists, corrected, progress=progress)


def _add(into: Path, lists: Lists, corrected: Mapping[str, Path], *, replace: bool, workers: int) -> str:
    if not (into / CLASSES_FILE).is_file() or not (into / "images").is_dir():
        raise ValueError(
            f"{into} - expected a new folder, or one with images, labels and {CLASSES_FILE} - found another"
            " - name a new one, which gets all images of the experiment"
        )
    data_set = look_at_own(into, workers=workers).whole()
    images, folder, known = into / "images", label_folder(into), lists.all
    by_id = {one_form(image_id): pair for image_id, pair in data_set.pairs.items()}
    if absent := sorted({one_form(image_id) for image_id in known} - by_id.keys()):
        raise ValueError(f"{images} - expected every image of the experiment - found no {absent[0]} - name a new folder")
    for pair in by_id.values():
        if pair.labels and key_of(pair.labels, folder) != key_of(pair.image, images):
            raise ValueError(f"{pair.labels} - expected label files named as their images - found others - rename them")
    files: dict[Path, NDArray[np.uint8]] = {}
    same, faults = 0, []
    for image_id, file in corrected.items():
        pair, size = by_id[one_form(image_id)], known[image_id].size
        labels = read_label_png(file, num_classes=lists.catalog.num_classes, size=size)
        labels = _renumber(labels, lists.catalog, data_set.catalog, into)
        if pair.labels and np.array_equal(read_labels(pair.labels, data_set.catalog, size=size), labels):
            same += 1
        elif pair.labels and not replace:
            faults.append(f"{pair.labels} - expected no other labels of {image_id} - found some - --replace replaces them")
        else:
            files[folder / f"{key_of(pair.image, images)}.png" if pair.labels is None else pair.labels] = labels
    if faults:
        raise ValueError(f"{faults[0]}{f' ({len(faults) - 1} more)' if len(faults) > 1 else ''}")
    for target, labels in files.items():
        with atomic_path(target) as partial:
            _write(partial, labels, data_set.catalog)
    return f"{len(files)} label files written to {folder}, {same} were there already"


def _renumber(labels: NDArray[np.uint8], ours: Catalog, theirs: Catalog, into: Path) -> NDArray[np.uint8]:
    """Return train ids of a folder from those of the experiment, by the names of the classes."""
    table = np.full(256, IGNORE_INDEX, np.uint8)
    for train_id in np.unique(labels[labels != IGNORE_INDEX]):
        name = ours.class_names[train_id]
        if name not in theirs.class_names:
            raise ValueError(f"{into / CLASSES_FILE} - expected the class {name} - found no such - add it, or name a new folder")
        table[train_id] = theirs.class_names.index(name)
    if (labels == IGNORE_INDEX).any() and IGNORE_INDEX not in theirs.train_ids.values():
        raise ValueError(
            f"{into / CLASSES_FILE} - expected a value of pixels without a class - found none - add `ignore`, or annotate every"
            " pixel"
        )
    renumbered: NDArray[np.uint8] = table[labels]
    return renumbered


def _write(path: Path, labels: NDArray[np.uint8], catalog: Catalog) -> None:
    """Write train ids as a label file of a catalog, each by its least value."""
    values = {train_id: value for value, train_id in sorted(catalog.train_ids.items(), reverse=True)}
    if catalog.encoding == "index" and all(value == train_id for train_id, value in values.items()):
        write_label_png(path, labels, catalog.colors)
        return
    table = np.zeros(256, np.uint32)
    table[list(values)] = list(values.values())
    spelled = table[labels]
    if catalog.encoding == "color":
        picture = np.stack([spelled >> 16, spelled >> 8 & 255, spelled & 255], axis=-1).astype(np.uint8)
    else:
        picture = spelled.astype(np.uint8 if max(values.values()) < 256 else np.uint16)
    Image.fromarray(picture).save(path, format="PNG")


def _build(into: Path, lists: Lists, corrected: Mapping[str, Path], *, progress: Progress) -> str:
    samples, catalog = lists.all, lists.catalog
    own = Catalog(
        name=catalog.name,
        class_names=catalog.class_names,
        colors=catalog.colors,
        train_ids={train_id: train_id for train_id in range(catalog.num_classes)},
    )
    count = 0
    with atomic_path(into) as partial:
        (partial / "images").mkdir(parents=True)
        (partial / "labels").mkdir()
        for image_id, sample in progress(samples.items(), total=len(samples), unit="image"):
            copy, target = partial / "images" / f"{image_id}{sample.image.suffix}", partial / "labels" / f"{image_id}.png"
            shutil.copyfile(sample.image, copy)
            if digest(copy) != sample.image_sha256:
                raise ValueError(f"{sample.image} - expected the file that `prepare` has seen - found another - run `prepare`")
            if image_id in corrected:
                shutil.copyfile(corrected[image_id], target)
            elif sample.labels:
                write_label_png(target, labels_of(sample, catalog), catalog.colors)
            count += target.exists()
        write_text(partial / CLASSES_FILE, f"{spell_catalog(own)}ignore: [{IGNORE_INDEX}]\n")
    return f"{len(samples)} images in {into}, {count} with label files, {len(corrected)} of these corrected"
