"""COCO's JSON as CVAT, Roboflow, Label Studio and others export it: polygons and run lengths, drawn as label files.

Reference: cocodataset.org, Data format; tried with what datumaro 1.13 writes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.folders.classes import CLASSES_FILE, choose_color, read_classes
from pipeline.datasets.folders.coco_files import AnnotationFile, ListedImage, read_annotation_files
from pipeline.datasets.folders.coco_masks import Region, check_segmentation, draw_regions
from pipeline.datasets.folders.found import Found, divide
from pipeline.datasets.folders.names import id_of, key_of, one_form
from pipeline.datasets.raw_files import find_images, gather, passed_over
from pipeline.machine.parallel import map_ordered
from pipeline.samples.catalog import IGNORE_INDEX, Catalog, Color
from pipeline.samples.images import size_of, write_label_png
from pipeline.schema import describe_error

DRAWN = "annotations"
"""Folder, below that of what `prepare` draws, of the label files."""
BACKGROUND = "background"
"""Class of the pixels without an annotation."""
_MOST_NAMES = 5
_KNOWN = frozenset({".json", ".txt", ".yaml", ".zip"})
"""Endings of files that need no word."""


@dataclass
class _Annotated:
    """An image that annotation files list.

    Attributes:
        file: the image.
        size: height and width, upright.
        regions: category and region, in the order of the files and of their annotations.
        files: that have regions of it.
    """

    file: Path
    size: tuple[int, int]
    regions: list[tuple[str, Region]]
    files: set[Path]


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
    files = read_annotation_files(folders, faults)
    pictures = [(folder, file) for folder in folders for file in find_images(folder)]
    places = _Places(file for _, file in pictures)
    kept = [file for file in files if not file.is_part("test")] or files
    left_out = _listed([file for file in files if file not in kept], places)
    if left_out:
        remarks.append(f"{root}: {len(left_out)} images that files of a test part list are left out")
    annotated = _join(kept, places, faults)
    catalog, values = _classes(root, _categories(kept, faults, remarks), faults, remarks)
    listed = ((_image_id(file, folder), file, None) for folder, file in pictures if file not in left_out)
    pairs, wrong = gather(listed, where=root, data_set="COCO")
    faults += wrong if pictures or not files else ()
    works = {image_id: annotated[pair.image] for image_id, pair in pairs.items() if pair.image in annotated}
    works = {image_id: image for image_id, image in works.items() if image.regions}
    label_files = _draw(works, drawn / DRAWN, catalog, values, workers=workers)
    pairs = {image_id: Pair(pair.image, label_files.get(image_id)) for image_id, pair in pairs.items()}
    remarks += [*_remarks(root, kept, annotated.values()), *(line for folder in folders for line in passed_over(folder, _KNOWN))]
    if pairs and not works and not faults:
        faults.append(f"{root} - expected annotations with a segmentation - found none - export polygons or masks, not boxes")
    of_val = [file for file in kept if file.is_part("val", "valid", "validation")]
    held_out = _listed(of_val, places) if len(of_val) < len(kept) else set()
    ids = (image_id for image_id, pair in pairs.items() if pair.image in held_out)
    train, val = divide(root, pairs, ids, faults)
    many = f"{len(kept)} file{'s' * (len(kept) > 1)}: {', '.join(file.path.name for file in kept[:_MOST_NAMES])}"
    return Found(f"COCO, {many}", DataSet(catalog, train, val, remarks=tuple(remarks)), tuple(faults))


def _draw(
    works: Mapping[str, _Annotated], folder: Path, catalog: Catalog, values: Mapping[str, int], *, workers: int
) -> dict[str, Path]:
    """Draw label files of images by their id; categories that have no value have no class."""
    folder.mkdir(parents=True, exist_ok=True)
    rest = values.get(BACKGROUND, IGNORE_INDEX)

    def draw(image_id: str) -> Path:
        image, target = works[image_id], folder / f"{image_id}.png"
        regions = [(values.get(name, IGNORE_INDEX), region) for name, region in image.regions]
        write_label_png(target, draw_regions(regions, image.size, rest=rest), catalog.colors)
        return target

    return dict(zip(works, map_ordered(draw, works, workers=workers), strict=True))


def _listed(files: Iterable[AnnotationFile], places: "_Places") -> set[Path]:
    """Return the images that files list, as far as they are here."""
    found = (places.find(image.file_name, file.path) for file in files for image in file.content.images)
    return {image for image in found if image}


class _Places:
    """Where the images lie that annotation files name: tools write paths of their own machines."""

    def __init__(self, pictures: Iterable[Path]) -> None:
        self._by_name: dict[str, list[tuple[tuple[str, ...], Path]]] = {}
        for file in pictures:
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


def _join(files: Sequence[AnnotationFile], places: _Places, faults: list[str]) -> dict[Path, _Annotated]:
    """Return the listed images that are here with the regions of all files."""
    known: dict[Path, _Annotated] = {}
    for file in files:
        by_id = _join_images(file, places, known, faults)
        ids, names = {image.id for image in file.content.images}, {each.id: each.name for each in file.content.categories}
        for place, annotation in enumerate(file.content.annotations):
            where = f"{file.path} - annotation {place if annotation.id is None else annotation.id}"
            image, name = by_id.get(annotation.image_id), names.get(annotation.category_id)
            if annotation.image_id not in ids:
                found = f"an image that the file lists - found {annotation.image_id}"
                faults.append(f"{where} - expected {found} - export it again")
            elif name is None:
                found = f"a category that the file lists - found {annotation.category_id}"
                faults.append(f"{where} - expected {found} - export it again")
            elif image and annotation.segmentation:
                if fault := check_segmentation(annotation.segmentation, image.size):
                    faults.append(f"{where} - {fault} - correct it in the annotation tool")
                else:
                    image.regions.append((name, Region(annotation.segmentation, below=annotation.iscrowd)))
                    image.files.add(file.path)
    return known


def _join_images(
    file: AnnotationFile, places: _Places, known: dict[Path, _Annotated], faults: list[str]
) -> dict[int | str, _Annotated]:
    """Return the images of a file by its numbers, as far as they are here and of the size that it says."""
    by_id: dict[int | str, _Annotated] = {}
    numbers: set[int | str] = set()
    taken: set[Path] = set()
    for image in file.content.images:
        where = f"{file.path} - image {image.id}"
        path = places.find(image.file_name, file.path)
        if image.id in numbers or path in taken:
            faults.append(f"{where} - expected every image once - found {image.file_name} twice - export it again")
        elif path is None:
            twins = places.count(image.file_name)
            found = f"{twins} of that name" if twins else "none"
            faults.append(f"{where} - expected {image.file_name} in the folder - found {found} - add it, or rename it")
        elif size := _size(image, path, where, faults):
            by_id[image.id] = known.setdefault(path, _Annotated(path, size, [], set()))
        numbers.add(image.id)
        if path:
            taken.add(path)
    return by_id


def _size(image: ListedImage, file: Path, where: str, faults: list[str]) -> tuple[int, int] | None:
    """Return height and width of an image, which are those that its file of annotations says; None where not."""
    try:
        size = size_of(file)
    except ValueError as error:
        faults.append(str(error))
        return None
    said = (image.height or size[0], image.width or size[1])
    if said == size:
        return size
    turned = said == size[::-1]
    remedy = "annotate it as viewers show it: its EXIF orientation counts" if turned else "annotate this very file"
    faults.append(f"{where} - expected the size of {file}, {size} - found {said} - {remedy}")
    return None


def _categories(files: Sequence[AnnotationFile], faults: list[str], remarks: list[str]) -> list[str]:
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


def _remarks(root: Path, files: Sequence[AnnotationFile], annotated: Iterable[_Annotated]) -> list[str]:
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
