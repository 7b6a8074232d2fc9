"""`inspect` as a user types it: what lies in a folder, what it would cost, and all that is wrong with it."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from pipeline.datasets.folders.classes import read_classes
from pipeline.inspection.describe import bytes_per_pixel
from pipeline.inspection.series import find_series
from pipeline.softmax_store.quantized_map import precision_of
from stages.inspect import main
from stages.prepare import main as prepare_main
from tests.datasets.layouts import OWN_COLORS, save, text, write_coco, write_cvat, write_folder, write_zip
from tests.workspace import ROOT, change_params


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be filled, beside the parameters."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "lists").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine"


def inspect(root: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *options])


def prepare(root: Path) -> Result:
    change_params(root.parent, {"data.name": "folder", "data.root": str(root), "data.labeled_fraction": 1.0})
    return CliRunner().invoke(prepare_main, ["--lists", "lists", "--out", "prepared"])


def faults(result: Result) -> list[str]:
    lines = result.stdout.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("wrong: "))
    assert lines[place] == f"wrong: {len(lines) - place - 1 or 'nothing'}"
    return lines[place + 1 :]


WRITTEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "own": (write_folder, "layout: images and label files of your own (images, labels)\nimages: 12, 8 with labels, 4 without"),
    "own colors": (lambda root: write_folder(root, color=True), "images: 12, 8 with labels, 4 without"),
    "cvat": (write_cvat, "layout: CVAT, Segmentation mask 1.1, 1 export\nimages: 8, 6 with labels, 2 without"),
    "coco": (write_coco, "layout: COCO, 1 file: instances_default.json\nimages: 8, 6 with labels, 2 without"),
}


@pytest.mark.parametrize("layout", WRITTEN)
@pytest.mark.parametrize("packed", [False, True])
def test_what_lies_there_is_said_and_prepare_takes_it_and_nothing_is_written(layout: str, packed: bool, mine: Path) -> None:
    write, says = WRITTEN[layout]
    write(mine)
    root = write_zip(mine.parent / "mine.zip", mine) if packed else mine
    before = sorted((file, file.stat().st_mtime_ns) for file in mine.rglob("*"))
    result = inspect(root)
    assert result.exit_code == 0, result.stdout
    assert says in result.stdout
    assert faults(result) == []
    assert before == sorted((file, file.stat().st_mtime_ns) for file in mine.rglob("*"))
    prepared = prepare(root)
    assert prepared.exit_code == 0, prepared.stderr
    (split,) = re.findall(r"\d+ labeled, \d+ unlabeled, \d+ validation images", result.stdout)
    assert split in prepared.stderr
    labeled = [line.split("\t") for line in Path("prepared/labeled.tsv").read_text().splitlines()[1:-1]]
    assert labeled
    assert all(Path(path).is_file() for line in labeled for path in (line[3], line[5])), "also what prepare has unpacked or drawn"
    unlabeled = [line.split("\t") for line in Path("prepared/unlabeled.tsv").read_text().splitlines()[1:-1]]
    pixels = sum(int(line[1]) * int(line[2]) for line in unlabeled)
    assert f"9 bytes (3 classes, float16) for each of {pixels:,} unlabeled pixels" in result.stdout


def test_shares_are_those_of_the_label_files(mine: Path) -> None:
    known = write_cvat(mine)
    counts = np.bincount(np.concatenate([labels.ravel() for labels in known.values()]), minlength=3).tolist()
    lines = inspect(mine).stdout.splitlines()
    for name, count in zip(("background", "road", "car"), counts, strict=True):
        assert f"  {name:<10} {100 * count / sum(counts):5.1f} %  6 files" in lines
    assert "without a class: 0.0 % of the pixels of label files" in lines


@pytest.mark.parametrize(("dtype", "classes"), [("float16", 8), ("float32", 19)])
def test_bytes_of_a_pixel_are_those_that_the_documents_name(dtype: str, classes: int) -> None:
    assert bytes_per_pixel(dtype, classes, "all") == {"float16": 2 * classes + 3, "float32": 4 * classes + 5}[dtype]
    assert bytes_per_pixel(dtype, classes, "largest") == {"float16": 3, "float32": 5}[dtype]
    assert np.dtype(dtype).itemsize == {"float16": 2, "float32": 4}[dtype]
    assert precision_of(dtype, classes)


def test_all_that_is_wrong_is_listed_not_the_first_alone(mine: Path) -> None:
    write_folder(mine)
    save(mine / "labels/nobody.png", np.zeros((24, 40), np.uint8))
    save(mine / "labels/Straße 08.jpg", np.zeros((24, 40), np.uint8))
    for name in ("images/Straße 10.png", "labels/Straße 02.png"):
        (mine / name).write_bytes(b"no image")
    save(mine / "labels/Straße 04.png", np.full((24, 40), 9, np.uint8))
    result = inspect(mine)
    assert result.exit_code == 1
    found = faults(result)
    assert sorted(line.partition(" - ")[0].rpartition("/")[2] for line in found) == [
        "Straße 02.png",
        "Straße 04.png",
        "Straße 08.jpg",
        "Straße 10.png",
        "nobody.*",
    ]
    assert prepare(mine).exit_code == 1


def test_classes_are_proposed_and_written_only_where_somebody_asks_for_it(mine: Path) -> None:
    write_folder(mine)
    (mine / "classes.yaml").unlink()
    result = inspect(mine)
    assert result.exit_code == 1
    (fault,) = faults(result)
    assert fault.endswith("classes.yaml - expected the classes - found none - make it, or let --write make it as proposed")
    assert "  classes:\n    - class_0\n    - class_1\n    - class_2\n" in result.stdout
    assert not (mine / "classes.yaml").exists()
    written = inspect(mine, "--write")
    assert written.exit_code == 0, written.stdout
    classes = read_classes(mine / "classes.yaml")
    assert classes.catalog.train_ids == {0: 0, 1: 1, 2: 2, 255: 255}
    content = (mine / "classes.yaml").read_bytes()
    assert inspect(mine, "--write").exit_code == 0
    assert (mine / "classes.yaml").read_bytes() == content
    assert prepare(mine).exit_code == 0


def save_masks(mine: Path, mask: np.ndarray, palette: bytes | None = None) -> None:
    for number in range(5):
        save(mine / f"images/{number}.png", np.full((*mask.shape[:2], 3), number, np.uint8))
        save(mine / f"masks/{number}.png", mask, palette)


WHITE = np.kron(np.eye(2), np.full((8, 8), 255)).astype(np.uint8)
PROPOSED: dict[str, tuple[np.ndarray, bytes | None, str]] = {
    "0 and 255": (WHITE, None, "classes:\n  - {name: background, id: 0}\n  - {name: foreground, id: 255}\n"),
    "0 and 1": (WHITE // 255, None, "classes:\n  - background\n  - foreground\n"),
    "one bit": (WHITE.astype(np.bool_), None, "classes:\n  - background\n  - foreground\n"),
    "black and white as RGB": (
        WHITE[..., None].repeat(3, axis=2),
        None,
        "labels: color\nclasses:\n  - {name: background, color: [0, 0, 0]}\n  - {name: foreground, color: [255, 255, 255]}\n",
    ),
    "colors": (
        np.array(OWN_COLORS, np.uint8)[np.arange(256).reshape(16, 16) % 3],
        None,
        "labels: color\nclasses:\n  - {name: class_0, color: [0, 0, 142]}\n  - {name: class_1, color: [70, 130, 180]}\n"
        "  - {name: class_2, color: [128, 64, 128]}\n",
    ),
    "numbers with gaps and a palette": (
        np.where(WHITE == 255, 7, 3).astype(np.uint8),
        bytes(range(24)),
        "classes:\n  - {name: class_3, id: 3, color: [9, 10, 11]}\n  - {name: class_7, id: 7, color: [21, 22, 23]}\n",
    ),
    "numbers of 16 bits": (
        np.where(WHITE == 255, 1000, 3).astype(np.uint16),
        None,
        "classes:\n  - {name: class_3, id: 3}\n  - {name: class_1000, id: 1000}\n",
    ),
}


@pytest.mark.parametrize("case", PROPOSED)
def test_a_proposal_fits_the_label_files(case: str, mine: Path) -> None:
    mask, palette, proposed = PROPOSED[case]
    save_masks(mine, mask, palette)
    result = inspect(mine, "--write")
    assert result.exit_code == 0, result.stdout
    assert (mine / "classes.yaml").read_text().endswith(proposed)
    assert faults(inspect(mine)) == []
    assert prepare(mine).exit_code == 0


def test_smoothed_label_files_are_no_label_files(mine: Path) -> None:
    save_masks(mine, np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    (fault,) = faults(inspect(mine))
    assert (
        "masks - expected label files of at most 255 values - found 256 and more - save them as PNG, without smoothing" in fault
    )


def test_masks_of_0_and_255_with_names_alone_are_said_in_one_line(mine: Path) -> None:
    save_masks(mine, WHITE)
    text(mine / "classes.yaml", "classes: [background, building]")
    result = inspect(mine)
    assert result.exit_code == 0
    assert "label files hold 0 and 255 alone, and 255 is read as building" in result.stdout
    text(mine / "classes.yaml", "classes: [background, building, car]")
    (fault,) = faults(inspect(mine))
    assert "declare it: {name: building, id: 255}" in fault


def test_the_classes_of_a_tool_are_written_to_be_edited_where_somebody_asks_for_it(mine: Path) -> None:
    write_cvat(mine)
    assert not (mine / "classes.yaml").exists()
    assert inspect(mine, "--write").exit_code == 0
    assert read_classes(mine / "classes.yaml").catalog.class_names == ("background", "road", "car")
    assert inspect(mine).exit_code == 0


def test_nothing_is_written_into_an_archive(mine: Path) -> None:
    write_cvat(mine)
    (fault,) = faults(inspect(write_zip(mine.parent / "mine.zip", mine), "--write"))
    assert "mine.zip - expected a folder to write classes.yaml into - found an archive - unpack it and name the folder" in fault


def test_a_file_in_an_archive_is_named_as_in_the_archive(mine: Path) -> None:
    write_cvat(mine)
    (mine / "JPEGImages/park.png").write_bytes(b"no image")
    archive = write_zip(mine.parent / "mine.zip", mine)
    (fault,) = faults(inspect(archive))
    assert fault.startswith(f"{archive}/JPEGImages/park.png - expected an image file - ")
    assert f"{archive}/JPEGImages/park.png - expected an image file - " in prepare(archive).stderr


def test_turned_photographs_and_what_is_left_out_are_counted(mine: Path) -> None:
    write_folder(mine)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(mine / "images/Straße 08.png") as picture:
        picture.copy().save(mine / "images/Straße 08.png", exif=exif)
    (mine / "images/IMG_1.HEIC").write_bytes(b"x")
    (mine / "masks").mkdir()
    said = inspect(mine).stdout
    assert "turned by their EXIF orientation: 1 images; label files must show them upright" in said
    assert "images: 1 left out, as .bmp" in said
    assert "save HEIC as JPEG" in said
    assert "mine/masks: not looked at, as labels is there" in said


@pytest.mark.parametrize("write", [write_cvat, write_coco])
def test_what_is_left_out_beside_an_export_is_counted(write: Callable[[Path], object], mine: Path) -> None:
    write(mine)
    (mine / "IMG_1.HEIC").write_bytes(b"x")
    (line,) = (line for line in inspect(mine).stdout.splitlines() if "left out, as" in line)
    assert "mine: 1 left out, as " in line
    assert line.endswith("IMG_1.HEIC; save HEIC as JPEG")


def test_series_of_numbered_names_are_named_unless_a_validation_part_is_there(mine: Path) -> None:
    write_cvat(mine)
    for number in (3, 4, 6, 7):
        save(mine / f"JPEGImages/walk {number:03d}.png", np.zeros((24, 36, 3), np.uint8))
    assert "series of numbered names: 1: walk 003 to walk 007 (4); if neighbors show the same" in inspect(mine).stdout
    text(mine / "val.txt", "park", "mill")
    assert "series" not in inspect(mine).stdout


def test_series_are_runs_of_near_numbers() -> None:
    assert find_series(["a1", "a2", "a3", "b1", "b500", "b9000", "c7", "c8"]) == [["a1", "a2", "a3"]]
    assert find_series(["IMG_10", "IMG_9", "IMG_11 (1)", "IMG_8", "x"]) == [["IMG_8", "IMG_9", "IMG_10"]]
    assert find_series([]) == []


def test_no_folder_is_one_line(mine: Path) -> None:
    result = inspect(mine)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith(
        "expected a folder or a zip archive with your images - found none - correct the path"
    )
    mine.mkdir()
    (fault,) = faults(inspect(mine))
    assert "classes.yaml - expected a file of your data set - found none - make it" in fault
