"""COCO's JSON as CVAT, Roboflow, Label Studio and others export it: polygons and run lengths, drawn as label files.

Reference: cocodataset.org, Data format; tried with what datumaro 1.13 writes.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.folders.classes import CLASSES_FILE, choose_color, read_classes
from pipeline.datasets.folders.coco_masks import Region, Segmentation, check_segmentation, draw_regions
from pipeline.datasets.folders.found import Found, divide
from pipeline.datasets.folders.names import id_of, key_of, one_form
from pipeline.datasets.raw_files import find_images, gather
from pipeline.machine.parallel import map_ordered
from pipeline.samples.catalog import IGNORE_INDEX, Catalog, Color
from pipeline.samples.images import size_of, write_label_png
from pipeline.schema import describe_error

DRAWN = "annotations"
"""Folder, below that of what `prepare` draws, of the label files."""
BACKGROUND = "background"
"""Class of the pixels without an annotation."""
_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_MOST_NAMES = 5


class _Loose(BaseModel):
    """Tools add keys of their own, and each others."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Image(_Loose):
    id: int | str
    file_name: str = Field(min_length=1)
    width: int | None = Field(None, ge=1)
    height: int | None = Field(None, ge=1)


class _Category(_Loose):
    id: int
    name: str = Field(min_length=1)
    supercategory: str | None = None


class _Annotation(_Loose):
    id: int | str | None = None
    image_id: int | str
    category_id: int
    segmentation: Segmentation | None = None
    iscrowd: bool = False


class _File(_Loose):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


@dataclass(frozen=True)
class _Annotations:
    """One annotation file."""

    path: Path
    content: _File

    def is_part(self, *words: str) -> bool:
        """Tell whether the file or its folder is named for a part: instances_val2017.json, valid/_annotations.coco.json."""
        return bool({*words} & set(re.split("[^a-z]+", f"{self.path.parent.name}/{self.path.stem}".lower())))


@dataclass
class _Annotated:
    """An image that annotation files list.

    Attributes:
        file: the image.
        regions: category and region, in the order of the files and of their annotations.
        files: that have regions of it.
    """

    file: Path
    regions: list[tuple[str, Region]]
    files: set[Path]


def find_annotation_files(folder: Path) -> list[Path]:
    """Return the COCO files in `folder` and in the folders directly in it, by what they hold, whatever they are called."""
    files = sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])
    visible = [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    return [file for file in visible if file.is_file() and _looks_like_coco(file)]


def _looks_like_coco(file: Path) -> bool:
    content = file.read_bytes()
    return all(key in content for key in _KEYS)


def look_at_coco(root: Path, folders: Sequence[Path], drawn: Path, *, workers: int) -> Found:
    """Find the images that annotation files list, and draw a label file for each that has a region.

    Regions are drawn in the order of `annotations`, the later over the earlier, but those with `iscrowd` below all others. Pixels
    without a region are `background`. Images without a region are unlabeled.

    Args:
        root: the user's folder. A `classes.yaml` in it names the classes to keep: other categories, and without `background` the
            pixels without a region, have no class. A `val.txt` lists the images to evaluate on, else what files named val do.
        folders: that hold annotation files and images: `root` and what was unpacked.
        drawn: the label files are written below it.
        workers: threads that draw.
    """
    faults: list[str] = []
    remarks: list[str] = []
    files = [read for folder in folders for path in find_annotation_files(folder) if (read := _read(path, faults))]
    tests = [file for file in files if file.is_part("test")]
    kept = [file for file in files if file not in tests] or files
    pictures = [(folder, file) for folder in folders for file in find_images(folder)]
    places = _Places(pictures)
    annotated = _join(kept, places, faults)
    left_out = {
        found
        for file in tests
        if file not in kept
        for image in file.content.images
        if (found := places.find(image.file_name, file.path))
    }
    if left_out:
        remarks.append(
            f"{root}: {len(left_out)} images of {', '.join(file.path.name for file in tests)} are a test part, left out"
        )
    categories = _categories(kept, faults, remarks)
    catalog, values = _classes(root, categories, faults, remarks)
    listed = ((_image_id(file, folder), file, None) for folder, file in pictures if file not in left_out)
    pairs, wrong = gather(listed, where=root, data_set="COCO")
    faults += wrong if not files or pictures else ()
    ids = {pair.image: image_id for image_id, pair in pairs.items()}
    works = [(image_id, annotated[file]) for file, image_id in ids.items() if file in annotated and annotated[file].regions]
    (drawn / DRAWN).mkdir(parents=True, exist_ok=True)

    def draw(work: tuple[str, _Annotated]) -> tuple[str, Path] | ValueError:
        image_id, image = work
        target = drawn / DRAWN / f"{image_id}.png"
        try:
            regions = [(values.get(name, IGNORE_INDEX), region) for name, region in image.regions]
            rest = values.get(BACKGROUND, IGNORE_INDEX)
            write_label_png(target, draw_regions(regions, size_of(image.file), rest=rest), catalog.colors)
        except ValueError as error:
            return error
        return image_id, target

    for result in map_ordered(draw, works, workers=workers):
        if isinstance(result, ValueError):
            faults.append(str(result))
        else:
            pairs[result[0]] = Pair(pairs[result[0]].image, result[1])
    remarks += _remarks(root, kept, annotated.values())
    if pairs and not works and not faults:
        faults.append(f"{root} - expected annotations with a segmentation - found none - export polygons or masks, not boxes")
    held_out = {ids[file] for file in _of_part(kept, places, "val", "valid", "validation") if file in ids}
    train, val = divide(root, pairs, held_out, faults)
    many = f"{len(kept)} file{'s' * (len(kept) > 1)}: {', '.join(file.path.name for file in kept[:_MOST_NAMES])}"
    return Found(f"COCO, {many}", DataSet(catalog, train, val, remarks=tuple(remarks)), tuple(faults))


class _Places:
    """Where the images lie that annotation files name: tools write paths of their own machines."""

    def __init__(self, pictures: Iterable[tuple[Path, Path]]) -> None:
        self._by_name: dict[str, list[tuple[tuple[str, ...], Path]]] = {}
        for _, file in pictures:
            parts = PurePosixPath(one_form(file.as_posix())).parts
            self._by_name.setdefault(parts[-1], []).append((parts, file))

    def find(self, name: str, beside: Path) -> Path | None:
        """Return the image whose path ends most like `name`, of several the one nearest to `beside`; else None."""
        wanted = PurePosixPath(one_form(name.replace("\\", "/"))).parts
        rated = [
            (_common(wanted[::-1], parts[::-1]), _common(PurePosixPath(one_form(beside.as_posix())).parts, parts), file)
            for parts, file in self._by_name.get(wanted[-1] if wanted else "", [])
        ]
        best = max((rate[:2] for rate in rated), default=None)
        chosen = [file for *rate, file in rated if tuple(rate) == best]
        return chosen[0] if len(chosen) == 1 else None

    def count(self, name: str) -> int:
        """Count the images of the name."""
        return len(self._by_name.get(PurePosixPath(one_form(name.replace("\\", "/"))).name, []))


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Count the equal parts at the beginning."""
    same = [one == other for one, other in zip(first, second, strict=False)]
    return same.index(False) if False in same else len(same)


def _image_id(file: Path, folder: Path) -> str:
    key = key_of(file, folder)
    return id_of(PurePosixPath(*key.parts[1:]) if len(key.parts) > 1 and key.parts[0] == "images" else key)


def _read(path: Path, faults: list[str]) -> _Annotations | None:
    try:
        return _Annotations(path, _File.model_validate(json.loads(path.read_bytes())))
    except ValidationError as error:
        faults.append(describe_error(path, error, remedy="export it again"))
    except (ValueError, RecursionError) as error:
        faults.append(f"{path} - expected COCO JSON - found {error} - export it again")
    return None


def _join(files: Sequence[_Annotations], places: _Places, faults: list[str]) -> dict[Path, _Annotated]:
    """Return the listed images with the regions of all files."""
    known: dict[Path, _Annotated] = {}
    for path, content in ((file.path, file.content) for file in files):
        by_id: dict[int | str, _Annotated] = {}
        names = {category.id: category.name for category in content.categories}
        sizes: dict[int | str, tuple[int, int]] = {}
        for image in content.images:
            where = f"{path} - image {image.id}"
            file = places.find(image.file_name, path)
            known_before = image.id in sizes
            sizes.setdefault(image.id, (0, 0))
            if known_before or (file and any(one.file == file for one in by_id.values())):
                faults.append(f"{where} - expected every image once - found {image.file_name} twice - export it again")
                continue
            if file is None:
                twins = places.count(image.file_name)
                found = f"{twins} of that name" if twins else "none"
                faults.append(f"{where} - expected {image.file_name} in the folder - found {found} - add it, or rename it")
                continue
            by_id[image.id] = known.setdefault(file, _Annotated(file, [], set()))
            sizes[image.id] = _size(image, file, where, faults)
        for place, annotation in enumerate(content.annotations):
            where = f"{path} - annotation {place if annotation.id is None else annotation.id}"
            if annotation.image_id not in sizes or annotation.category_id not in names:
                what, which = (
                    ("an image", annotation.image_id)
                    if annotation.image_id not in sizes
                    else ("a category", annotation.category_id)
                )
                faults.append(f"{where} - expected {what} that the file lists - found {which} - export it again")
            elif annotation.segmentation and annotation.image_id in by_id and (size := sizes[annotation.image_id])[0]:
                if fault := check_segmentation(annotation.segmentation, size):
                    faults.append(f"{where} - {fault} - correct it in the annotation tool")
                else:
                    region = Region(annotation.segmentation, below=annotation.iscrowd)
                    by_id[annotation.image_id].regions.append((names[annotation.category_id], region))
                    by_id[annotation.image_id].files.add(path)
    return known


def _size(image: _Image, file: Path, where: str, faults: list[str]) -> tuple[int, int]:
    """Return height and width of an image, which are those that its file of annotations says; zeros where not."""
    try:
        size = size_of(file)
    except ValueError as error:
        faults.append(str(error))
        return 0, 0
    said = (image.height or size[0], image.width or size[1])
    if said == size:
        return size
    turned = said == size[::-1]
    remedy = "annotate it as viewers show it: its EXIF orientation counts" if turned else "annotate this very file"
    faults.append(f"{where} - expected the size of {file}, {size} - found {said} - {remedy}")
    return 0, 0


def _categories(files: Sequence[_Annotations], faults: list[str], remarks: list[str]) -> list[str]:
    """Return the names of the categories, by id, of several files in the order of the files."""
    names: dict[str, None] = {}
    for file in files:
        categories, used = file.content.categories, {annotation.category_id for annotation in file.content.annotations}
        for what, values in (("id", [each.id for each in categories]), ("name", [each.name for each in categories])):
            if len(set(values)) < len(values):
                twice = next(value for place, value in enumerate(values) if value in values[:place])
                faults.append(f"{file.path} - categories - expected every {what} once - found {twice!r} twice - rename one")
        above = {category.supercategory for category in categories}
        # Roboflow lists what its categories have in common as one of them.
        needless = [each.name for each in categories if each.name in above and each.id not in used and len(categories) > 1]
        if needless:
            remarks.append(f"{file.path}: {', '.join(needless)} is the supercategory of others and annotates nothing: no class")
        chosen = [each for each in categories if each.name not in needless]
        names |= dict.fromkeys(each.name for each in sorted(chosen, key=lambda each: each.id))
    return list(names)


def _classes(root: Path, categories: Sequence[str], faults: list[str], remarks: list[str]) -> tuple[Catalog, Mapping[str, int]]:
    """Return the catalog, and the train id of each category that is a class."""
    names, colors = [BACKGROUND, *(name for name in categories if name != BACKGROUND)], dict[str, Color]()
    try:
        if (root / CLASSES_FILE).is_file():
            declared = read_classes(root / CLASSES_FILE).catalog
            names, colors = list(declared.class_names), dict(zip(declared.class_names, declared.colors, strict=True))
            if unknown := [name for name in names if name not in {BACKGROUND, *categories}]:
                faults.append(
                    f"{root / CLASSES_FILE} - classes - expected names of categories or {BACKGROUND} - found {unknown[0]}"
                    f" - choose among {', '.join(categories)[:200]}"
                )
            if dropped := [name for name in categories if name not in names]:
                remarks.append(f"{root / CLASSES_FILE}: {', '.join(dropped)[:200]} not among the classes: ignored")
        chosen = tuple(colors.get(name) or choose_color(place, len(names)) for place, name in enumerate(names))
        train_ids = {place: place for place in range(len(names))} | {IGNORE_INDEX: IGNORE_INDEX}
        catalog = Catalog(name=root.stem or "coco", class_names=tuple(names), colors=chosen, train_ids=train_ids)
    except ValidationError as error:
        faults.append(describe_error(root, error, remedy="correct the categories"))
    except ValueError as error:
        faults.append(str(error))
    else:
        return catalog, {name: place for place, name in enumerate(names)}
    return Catalog(name="coco", class_names=("unknown",), colors=((0, 0, 0),), train_ids={0: 0}), {}


def _of_part(files: Sequence[_Annotations], places: _Places, *words: str) -> set[Path]:
    """Return the images that the files of a part list, where other files are of none."""
    part = [file for file in files if file.is_part(*words)]
    if len(part) == len(files):
        return set()
    return {found for file in part for image in file.content.images if (found := places.find(image.file_name, file.path))}


def _remarks(root: Path, files: Sequence[_Annotations], annotated: Iterable[_Annotated]) -> list[str]:
    every = [annotation for file in files for annotation in file.content.annotations]
    listed = list(annotated)
    boxes, crowds = sum(not one.segmentation for one in every), sum(bool(one.segmentation) and one.iscrowd for one in every)
    twice = sum(len(image.files) > 1 for image in listed)
    bare = sum(not image.regions for image in listed)
    lines = {
        f"{boxes} annotations without a segmentation (boxes, points) left out": boxes,
        f"{crowds} regions with iscrowd (CVAT's brush, COCO's crowds) drawn below all others": crowds,
        f"{twice} images annotated in several files: drawn in the order of the files' names": twice,
        f"{bare} listed images without a region: unlabeled, not background": bare,
    }
    return [f"{root}: {line}" for line, count in lines.items() if count]
