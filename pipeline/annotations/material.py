"""What goes out: images with a label map each, from the pseudo labels of a round or from predictions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.folders.names import id_of, key_of, one_form
from pipeline.datasets.raw_files import find_images
from pipeline.files import digest
from pipeline.predictions.legend import LEGEND, read_legend
from pipeline.predictions.resume import MARK
from pipeline.samples.catalog import Catalog, Color
from pipeline.samples.images import read_label_png, size_of
from pipeline.samples.sample_lists import Sample, read_ids, read_samples
from pipeline.selection import Selection
from pipeline.suggestions.table import read_suggestions

PARTS = ("labeled", "holdout", "unlabeled", "val")
"""Lists of an experiment; of each image one."""
_DIGITS = 12
"""Of a sha256 that people see."""


@dataclass(frozen=True)
class Work:
    """One image to annotate.

    Attributes:
        image_id: as the experiment has it.
        name: as tools shall have it, with folders and ending: `tool_name`.
        image: file.
        size: height and width, upright.
        labels: palette PNG of train ids.
        score: how much it is worth to be labeled, the higher the sooner; None where no table of `suggest` ranks it.
        reason: of that, in words; "" = none.
    """

    image_id: str
    name: str
    image: Path
    size: tuple[int, int]
    labels: Path
    score: float | None = None
    reason: str = ""

    def read_labels(self, num_classes: int) -> NDArray[np.uint8]:
        """Return (H, W) uint8, train ids and `IGNORE_INDEX`.

        Raises:
            ValueError: see `read_label_png`.
        """
        return read_label_png(self.labels, num_classes=num_classes, size=self.size)


@dataclass(frozen=True)
class Material:
    """All that goes out.

    Attributes:
        class_names: (C,).
        colors: (C,) RGB triples.
        works: images, the ranked ones first, in their order, then by name.
        origin: what made the labels, in words that tools show.
    """

    class_names: tuple[str, ...]
    colors: tuple[Color, ...]
    works: tuple[Work, ...]
    origin: str

    def chosen(self, image_ids: Sequence[str]) -> "Material":
        """Return the material of some images alone."""
        return replace(self, works=tuple(work for work in self.works if work.image_id in set(image_ids)))


def tool_name(image: Path, image_id: str) -> str:
    """Return the name that tools shall have of an image: the end of its path that spells its id, folders joined by `_`.

    So images keep the folders that they are uploaded with: north/0001.jpg of id north_0001. Where no end of the path spells
    the id, it is the id with the ending of the file.
    """
    parts = PurePosixPath(image.as_posix()).parts
    ends = (PurePosixPath(*parts[-length:]) for length in range(1, len(parts) + 1))
    named = (end.as_posix() for end in ends if one_form(id_of(end.with_suffix(""))) == one_form(image_id))
    return next(named, f"{image_id}{image.suffix}")


def of_round(folder: Path, *, key: str, prepared: Path) -> Material:
    """Return the pseudo labels of a round.

    Args:
        folder: of the round, with `pseudo_labels` and `selection.json`.
        key: of the round.
        prepared: what `prepare` wrote.

    Raises:
        ValueError: a file is missing or damaged, or the classes are those of another experiment.
    """
    catalog, selection = Catalog.read(prepared / "catalog.json"), Selection.read(folder / "selection.json")
    if selection.class_names != catalog.class_names:
        raise ValueError(
            f"{folder / 'selection.json'} - expected the classes of {prepared / 'catalog.json'} - found others"
            " - run the stage `solve_thresholds`"
        )
    samples = read_samples(prepared / "unlabeled.tsv", labels=False)
    labels = {sample.image_id: folder / "pseudo_labels" / f"{sample.image_id}.png" for sample in samples}
    if absent := [file for file in labels.values() if not file.is_file()]:
        raise ValueError(
            f"{absent[0]} - expected the pseudo labels of every unlabeled image - {len(absent)} are missing"
            " - run the stage `sample_labels`"
        )
    works = tuple(_work(sample.image_id, sample.image, sample.size, labels[sample.image_id]) for sample in samples)
    origin = f"pseudo labels of round {key}, selection {digest(folder / 'selection.json')[:_DIGITS]}"
    return Material(catalog.class_names, catalog.colors, _sorted(works), origin)


def of_predictions(folder: Path, images: Path, *, prepared: Path) -> Material:
    """Return what `stages.predict` wrote.

    Args:
        folder: with `labels` and `legend.json`.
        images: folder that was predicted.
        prepared: what `prepare` wrote: images that its lists name have the ids that these give them. May be missing.

    Raises:
        ValueError: it is no such folder, the run was not finished, or an image is missing.
    """
    if not (folder / "labels").is_dir() or not (folder / LEGEND).is_file():
        raise ValueError(
            f"{folder} - expected what `python -m stages.predict` writes, labels and legend.json - found"
            f" {'no labels' if not (folder / 'labels').is_dir() else 'no legend.json'} - name its OUT, of --format labels"
        )
    if (folder / MARK).exists():
        raise ValueError(f"{folder} - expected finished predictions - found {MARK} - run the same `predict` again")
    entries = read_legend(folder / LEGEND)
    if not images.is_dir():
        raise ValueError(f"--images - expected the folder of images that was predicted - found none at {images} - correct it")
    known = {sample.image.resolve(): sample.image_id for sample in read_lists(prepared).values()}
    files = {key_of(file, images): file for file in find_images(images)}
    works = []
    for file in find_images(folder / "labels"):
        key = key_of(file, folder / "labels")
        if key not in files:
            raise ValueError(f"{file} - expected its image {images / key}.* - found none - name the folder that was predicted")
        image = files[key]
        works.append(_work(known.get(image.resolve(), id_of(key)), image, size_of(image), file))
    if not works:
        raise ValueError(f"{folder / 'labels'} - expected predictions - found none - run `python -m stages.predict`")
    if twice := [image_id for image_id, times in Counter(work.image_id for work in works).items() if times > 1]:
        raise ValueError(f"{images} - expected image ids that differ - found {twice[0]} twice - rename one of the images")
    names, colors = tuple(entry.name for entry in entries), tuple(entry.color for entry in entries)
    return Material(names, colors, _sorted(works), f"predictions {folder.resolve().name}")


def read_lists(prepared: Path) -> dict[str, Sample]:
    """Return the samples of all lists that `prepare` wrote into a folder, by id; none where it wrote none.

    Raises:
        ValueError: see `read_samples`.
    """
    files = [prepared / f"{part}.tsv" for part in PARTS]
    samples = [sample for file in files if file.is_file() for sample in read_samples(file, labels=False, may_be_empty=True)]
    return {sample.image_id: sample for sample in samples}


def rank(material: Material, table: Path, selection: Path, *, only: bool) -> tuple[Material, list[str]]:
    """Give images the scores of a table of `stages.suggest`, the best first.

    Args:
        material: to rank.
        table: what `suggest` wrote; may be missing unless `only`.
        selection: of the round; a table of another one does not count.
        only: whether the suggested images alone are wanted.

    Returns:
        The material, and what a person should know.

    Raises:
        ValueError: `only`, and there is no table, it is of another selection, or it names images that the material lacks.
    """
    if not table.is_file() and not only:
        return material, []
    suggestions, origin = read_suggestions(table)
    if origin != digest(selection):
        if only:
            raise ValueError(
                f"{table} - expected suggestions of this round's selection - found another's - run `python -m stages.suggest`"
            )
        return material, [f"{table} is of another selection: no scores"]
    places = {each.image_id: each for each in suggestions}
    if only and (absent := places.keys() - {work.image_id for work in material.works}):
        raise ValueError(
            f"{table} - expected images that have labels to export - found {min(absent)} and {len(absent) - 1} more without"
            " - predict them too, or leave --predictions out"
        )
    works = {work.image_id: work for work in material.works}
    ranked = [replace(works[key], score=each.score, reason=each.reason) for key, each in places.items() if key in works]
    others = [] if only else [work for work in material.works if work.image_id not in places]
    return replace(material, works=(*ranked, *others)), [f"{len(ranked)} images have scores, the best first"]


def choose(material: Material, chosen: Path) -> Material:
    """Return the images that a text file lists, one id to a line.

    Raises:
        ValueError: see `read_ids`.
    """
    return material.chosen(read_ids(chosen, [work.image_id for work in material.works]))


def _work(image_id: str, image: Path, size: tuple[int, int], labels: Path) -> Work:
    return Work(image_id, tool_name(image, image_id), image, size, labels)


def _sorted(works: Sequence[Work]) -> tuple[Work, ...]:
    return tuple(sorted(works, key=lambda work: work.name))
