"""CVAT's export "Segmentation mask 1.1": masks of colors in `SegmentationClass`, and a `labelmap.txt` that names them.

Reference: docs.cvat.ai, Formats, "Segmentation Mask"; datumaro/plugins/data_formats/voc/format.py, which writes it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from pipeline.datasets.data_set import DataSet
from pipeline.datasets.folders.classes import CLASSES_FILE, read_classes
from pipeline.datasets.folders.found import Found, divide
from pipeline.datasets.folders.names import id_of, key_of, one_form
from pipeline.datasets.raw_files import find_images, gather, passed_over
from pipeline.files import digest
from pipeline.samples.catalog import Catalog, Color, pack_color
from pipeline.schema import describe_error

MASKS = "SegmentationClass"
LABEL_MAP = "labelmap.txt"
_NO_IMAGES = frozenset({MASKS, "SegmentationObject"})
_IMAGE_FOLDERS = frozenset({"JPEGImages", "images"})
_KNOWN = frozenset({".json", ".txt", ".xml", ".yaml", ".zip"})
"""Endings of files that need no word."""
_VALIDATION = frozenset({"val", "validation"})
_ADD_IMAGES = 'export once more with "Save images", or put the images into `images` beside the export'


def find_exports(folder: Path) -> list[Path]:
    """Return the exports at `folder`: itself, or the folders directly in it that hold masks."""
    if (folder / MASKS).is_dir():
        return [folder]
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path for path in inside if (path / MASKS).is_dir()]


def look_at_cvat(root: Path, exports: Sequence[Path]) -> Found:
    """Find masks and images of exports; images without a mask are unlabeled.

    Args:
        root: holds images, beside the exports or in `images`, and perhaps a `classes.yaml`, which then goes before the label
            maps, and a `val.txt`. Without that, what a list `val.txt` or `Validation.txt` of an export names is evaluated on.
        exports: folders with `SegmentationClass` and `labelmap.txt`, in or outside of `root`.
    """
    faults: list[str] = []
    catalog = _read_catalog(root, exports, faults)
    images: dict[PurePosixPath, Path] = {}
    for key, file in _images(root, exports):
        # The same image may lie in an export and in the folder that it was uploaded from.
        if (other := images.setdefault(key, file)) != file and digest(other) != digest(file):
            faults.append(f"{file} - expected one image of the name {key} - {other} is another - rename one")
    masks: dict[PurePosixPath, Path] = {}
    for key, file in ((key_of(file, export / MASKS), file) for export in exports for file in find_images(export / MASKS)):
        if (other := masks.setdefault(key, file)) != file and digest(other) != digest(file):
            faults.append(f"{file} - expected one mask of each image - {other} is another - remove one")
    faults += [
        f"{root}/.../{key}.* - expected the image of {file} - found none - {_ADD_IMAGES}"
        for key, file in masks.items()
        if key not in images
    ]
    found = ((id_of(key), file, masks.get(key)) for key, file in sorted(images.items()))
    pairs, wrong = gather(found, where=root, data_set="CVAT")
    faults += wrong if images or not masks else ()
    if pairs and not masks:
        faults.append(f"{exports[0] / MASKS} - expected masks of images - found none - annotate some and export again")
    train, val = divide(root, pairs, _held_out(exports) & pairs.keys(), faults)
    remarks = [
        line
        for folder in [root, *(one for one in exports if not one.is_relative_to(root))]
        for line in passed_over(folder, _KNOWN)
    ]
    data_set = DataSet(catalog, train, val, remarks=tuple(remarks))
    return Found(f"CVAT, Segmentation mask 1.1, {len(exports)} export{'s' * (len(exports) > 1)}", data_set, tuple(faults))


def _images(root: Path, exports: Sequence[Path]) -> Iterator[tuple[PurePosixPath, Path]]:
    """Yield images with their keys, those of the folder before those of exports."""
    for file in find_images(root):
        holder = next((export for export in exports if file.is_relative_to(export)), root)
        yield from _image(file, holder)
    for export in exports:
        if not export.is_relative_to(root):
            for file in find_images(export):
                yield from _image(file, export)


def _image(file: Path, holder: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    key = key_of(file, holder)
    if key.parts[0] not in _NO_IMAGES:
        yield PurePosixPath(*key.parts[1:]) if len(key.parts) > 1 and key.parts[0] in _IMAGE_FOLDERS else key, file


def _read_catalog(root: Path, exports: Sequence[Path], faults: list[str]) -> Catalog:
    """Return the classes of `classes.yaml`, else of all label maps; faults are added to `faults`."""
    try:
        if (root / CLASSES_FILE).is_file():
            return read_classes(root / CLASSES_FILE).catalog
        colors: dict[str, Color] = {}
        for export in exports:
            _read_label_map(export / LABEL_MAP, colors, faults)
        train_ids = {pack_color(color): train_id for train_id, color in enumerate(colors.values())}
        names, shades = tuple(colors), tuple(colors.values())
        return Catalog(name=root.stem or "cvat", class_names=names, colors=shades, train_ids=train_ids, encoding="color")
    except ValidationError as error:
        faults.append(describe_error(exports[0] / LABEL_MAP, error, remedy="correct the label map"))
    except ValueError as error:
        faults.append(str(error))
    return Catalog(name="cvat", class_names=("unknown",), colors=((0, 0, 0),), train_ids={0: 0}, encoding="color")


def _read_label_map(path: Path, colors: dict[str, Color], faults: list[str]) -> None:
    """Add the classes of a label map, `name:r,g,b:parts:actions` to a line, to `colors`."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found = (error.strerror if isinstance(error, OSError) else None) or str(error)
        faults.append(f"{path} - expected the label map of CVAT - found {found} - export once more, or make a {CLASSES_FILE}")
        return
    own: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        name, shade = one_form(name), rest.partition(":")[0].split(",")
        where = f"{path} - line {number}"
        if len(shade) != 3 or not all(part.strip().isdecimal() and int(part) <= 255 for part in shade):
            faults.append(f"{where} - expected name:red,green,blue:: - found {line[:80]!r} - correct it")
            continue
        color = (int(shade[0]), int(shade[1]), int(shade[2]))
        twin = next((other for other, known in colors.items() if known == color and other != name), None)
        if name in own:
            faults.append(f"{where} - expected every class once - found {name} twice - remove one")
        elif twin is not None:
            faults.append(f"{where} - expected a color of its own for {name} - {twin} has it too - give it another in CVAT")
        elif colors.setdefault(name, color) != color:
            faults.append(f"{where} - expected {name} in the color of the other exports, {colors[name]} - found {color} - agree")
        own.add(name)


def _held_out(exports: Sequence[Path]) -> set[str]:
    """Return the ids that the exports' own validation lists name."""
    lists = [file for export in exports for file in sorted((export / "ImageSets/Segmentation").glob("*.txt"))]
    chosen = [file for file in lists if file.stem.lower() in _VALIDATION]
    lines = (line.strip() for file in chosen for line in file.read_text("utf-8", errors="replace").splitlines())
    return {id_of(PurePosixPath(one_form(line))) for line in lines if line}
