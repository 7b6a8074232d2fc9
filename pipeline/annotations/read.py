"""Corrected labels, read from what tools export by the readers of data sets, in the train ids of the experiment."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline.annotations.label_studio import read_label_studio
from pipeline.annotations.labels import IGNORED
from pipeline.annotations.material import tool_name
from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.folder import look_into
from pipeline.datasets.folders.archive import UNPACKED, is_archive, list_archive
from pipeline.datasets.folders.coco import BACKGROUND
from pipeline.datasets.folders.cvat import MASKS
from pipeline.datasets.folders.names import id_of, one_form
from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress
from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.images import read_labels, write_label_png
from pipeline.samples.sample_lists import Sample

_UNKNOWN = 256
"""Marks labels that are no class of the experiment."""
_EXPORTS = "a zip of CVAT (Segmentation mask 1.1), COCO JSON, or JSON of Label Studio"


@dataclass(frozen=True)
class Corrected:
    """What people made of labels.

    Attributes:
        labels: palette PNG of train ids of each image, by id.
        faults: what must be mended, one to a line.
        remarks: what a person should know, likewise.
    """

    labels: Mapping[str, Path]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]


def read_corrected(
    files: Sequence[Path], samples: Mapping[str, Sample], catalog: Catalog, scratch: Path, *, workers: int, progress: Progress
) -> Corrected:
    """Read exports of one tool.

    Pixels that nothing covers are `background` where the experiment has that class, else without a class. Images without a
    pixel of a class are left out.

    Args:
        files: `_EXPORTS`.
        samples: images of the experiment, by id.
        catalog: classes of the experiment.
        scratch: folder to write to; the label maps lie there.
        workers: threads.
        progress: shows the images.
    """
    # The readers of data sets take a folder: here the images are links, by the names that tools have of them.
    root, drawn = scratch / "set", scratch / "drawn"
    names = {image_id: tool_name(sample.image, image_id) for image_id, sample in samples.items()}
    spelled: dict[str, str] = {}
    for image_id, sample in samples.items():
        link = root / "images" / names[image_id]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(sample.image.resolve())
        spelled[str(link)] = str(sample.image)
    faults: list[str] = []
    for number, file in enumerate(files):
        link = root / f"{number}{file.suffix.lower()}"
        spelled |= {str(link): str(file), str(drawn / UNPACKED / link.name): str(file)}
        faults += _put(file, link, samples, names)
    if faults:
        return Corrected({}, tuple(faults), ())
    try:
        found = look_into(root, drawn=drawn, workers=workers)
    except ValueError as error:
        return Corrected({}, (_spell(str(error), spelled, root),), ())
    faults += [_spell(fault, spelled, root) for fault in found.faults]
    labels, more, bare = _translate(found.data_set, samples, catalog, scratch / "labels", workers=workers, progress=progress)
    faults += [_spell(fault, spelled, root) for fault in more]
    remarks = [_spell(remark, spelled, root) for remark in found.data_set.remarks]
    remarks += [f"{len(bare)} images without a pixel of a class left out: {', '.join(bare)[:200]}"] if bare else []
    if not labels and not faults:
        faults.append(f"{files[0]} - expected annotated images - found none - annotate some and export again")
    return Corrected(labels, tuple(faults), tuple(remarks))


def _put(file: Path, link: Path, samples: Mapping[str, Sample], names: Mapping[str, str]) -> list[str]:
    """Put an export where the readers of data sets look for it; return what is wrong with it."""
    try:
        if is_archive(file):
            return _put_archive(file, link, samples)
        content = file.read_bytes() if file.suffix.lower() == ".json" and file.is_file() else b""
    except ValueError as error:
        return [str(error)]
    if content.lstrip().startswith(b"["):
        tree, faults = read_label_studio(file, samples, names)
        link.write_text(json.dumps(tree), encoding="utf-8")
        return faults
    if not all(key in content for key in (b'"images"', b'"annotations"', b'"categories"')):
        found = "other JSON" if content else ("a folder" if file.is_dir() else "another file" if file.exists() else "none")
        return [f"{file} - expected {_EXPORTS} - found {found} - export it so"]
    link.symlink_to(file.resolve())
    return []


def _put_archive(file: Path, link: Path, samples: Mapping[str, Sample]) -> list[str]:
    members = list_archive(file)
    masks = [PurePosixPath(*name.parts[name.parts.index(MASKS) + 1 :]) for name in members if MASKS in name.parts]
    if not masks and not any(name.suffix.lower() == ".json" for name in members):
        return [f"{file} - expected {_EXPORTS} - found a zip of something else - export it so"]
    keys = {mask: id_of(PurePosixPath(one_form(mask.with_suffix("").as_posix()))) for mask in masks}
    known = {one_form(image_id) for image_id in samples}
    link.symlink_to(file.resolve())
    return [
        f"{file}/{MASKS}/{mask} - expected the mask of an image of the experiment - found no image {key} - put the image into the"
        " data set and run the stage `prepare`, or give the frames the names of its images"
        for mask, key in keys.items()
        if key not in known
    ]


def _translate(
    data_set: DataSet, samples: Mapping[str, Sample], catalog: Catalog, folder: Path, *, workers: int, progress: Progress
) -> tuple[dict[str, Path], list[str], list[str]]:
    """Write label maps in the experiment's train ids.

    Returns:
        Files by image id; faults; ids of images without a pixel of a class, of which there is no file.
    """
    folder.mkdir()
    known = {name: train_id for train_id, name in enumerate(catalog.class_names)}
    meant = [
        known.get(name, IGNORE_INDEX if name in {BACKGROUND, IGNORED} else _UNKNOWN) for name in data_set.catalog.class_names
    ]
    table = np.full(IGNORE_INDEX + 1, IGNORE_INDEX, np.uint16)
    table[: len(meant)] = meant
    by_id = {one_form(image_id): image_id for image_id in samples}

    def translate(pair: tuple[str, Pair]) -> tuple[str, Path | None, set[str], str | None]:
        image_id, files = by_id[one_form(pair[0])], pair[1]
        assert files.labels is not None, "those without are left out"
        try:
            values = read_labels(files.labels, data_set.catalog, size=samples[image_id].size)
        except ValueError as error:
            return image_id, None, set(), str(error)
        labels = table[values]
        strange = {data_set.catalog.class_names[value] for value in np.unique(values[labels == _UNKNOWN])}
        if strange or not (labels != IGNORE_INDEX).any():
            return image_id, None, strange, None
        write_label_png(folder / f"{image_id}.png", labels.astype(np.uint8), catalog.colors)
        return image_id, folder / f"{image_id}.png", set(), None

    pairs = [(image_id, pair) for image_id, pair in data_set.pairs.items() if pair.labels]
    done: dict[str, Path] = {}
    faults: list[str] = []
    bare: list[str] = []
    strangers: defaultdict[str, list[str]] = defaultdict(list)
    for image_id, file, strange, fault in progress(
        map_ordered(translate, pairs, workers=workers), total=len(pairs), unit="image"
    ):
        faults += [fault] if fault else []
        for name in strange:
            strangers[name].append(image_id)
        if file:
            done[image_id] = file
        elif not strange and not fault:
            bare.append(image_id)
    faults += [
        f"label {name!r} - expected the classes {', '.join(catalog.class_names)[:200]} - found it in {len(ids)} images, the first"
        f" {ids[0]} - rename it in the tool and export again"
        for name, ids in sorted(strangers.items())
    ]
    return done, faults, bare


def _spell(text: str, spelled: Mapping[str, str], root: Path) -> str:
    """Return a message with the user's own paths."""
    for link in sorted(spelled, key=len, reverse=True):
        text = text.replace(link, spelled[link])
    return text.replace(f"{root}", "the images of the experiment")
