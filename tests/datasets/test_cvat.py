"""CVAT's export "Segmentation mask 1.1": as a folder, as the zip itself, several of them, and what is wrong with one."""

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.data_set import DataSet
from pipeline.datasets.folder import find_folder, look_into
from pipeline.samples.images import read_image, read_labels
from tests.datasets.layouts import TOOL_CLASSES, Labels, save, text, write_cvat, write_zip


def find(root: Path) -> DataSet:
    shutil.rmtree(root.parent / "drawn", ignore_errors=True)
    return find_folder(root, drawn=root.parent / "drawn", workers=2)


def faults(root: Path) -> tuple[str, ...]:
    shutil.rmtree(root.parent / "drawn", ignore_errors=True)
    return look_into(root, drawn=root.parent / "drawn", workers=2).faults


def check(data_set: DataSet, known: dict[str, Labels], images: int = 8) -> None:
    """Hold what was found against the labels that went in."""
    assert data_set.catalog.class_names == tuple(TOOL_CLASSES)
    assert data_set.catalog.colors == tuple(TOOL_CLASSES.values())
    assert len(data_set.pairs) == images
    labeled = {image_id: pair for image_id, pair in data_set.pairs.items() if pair.labels}
    assert labeled.keys() == known.keys()
    for image_id, pair in labeled.items():
        assert pair.labels
        size = read_image(pair.image).shape[:2]
        assert np.array_equal(read_labels(pair.labels, data_set.catalog, size=(size[0], size[1])), known[image_id])


@pytest.mark.parametrize("palette", [False, True])
@pytest.mark.parametrize("images", ["JPEGImages", "images", ""])
def test_an_export_reads_to_the_labels_that_went_in_wherever_its_images_lie(images: str, palette: bool, tmp_path: Path) -> None:
    known = write_cvat(tmp_path / "mine", images=images, palette=palette)
    before = sorted((file, file.stat().st_mtime_ns) for file in (tmp_path / "mine").rglob("*"))
    check(find(tmp_path / "mine"), known)
    assert before == sorted((file, file.stat().st_mtime_ns) for file in (tmp_path / "mine").rglob("*")), (
        "nothing is written there"
    )


@pytest.mark.parametrize("inside", ["", "task_7/"])
def test_the_archive_itself_is_read(inside: str, tmp_path: Path) -> None:
    known = write_cvat(tmp_path / "export")
    check(find(write_zip(tmp_path / "mine.zip", tmp_path / "export", inside)), known)


def test_exports_without_images_lie_beside_them_as_archives_or_as_folders(tmp_path: Path) -> None:
    known = write_cvat(tmp_path / "all", images="images")
    mine = tmp_path / "mine"
    shutil.copytree(tmp_path / "all/images", mine / "images")
    for number, half in enumerate(({"park", "lake", "mill"}, {"north_0001", "street 12", "Süd 3"})):
        export = tmp_path / f"task_{number}"
        shutil.copytree(tmp_path / "all", export, ignore=shutil.ignore_patterns("images"))
        for file in (export / "SegmentationClass").rglob("*.png"):
            if file.relative_to(export / "SegmentationClass").with_suffix("").as_posix().replace("/", "_") not in half:
                file.unlink()
    write_zip(mine / "task_0.zip", tmp_path / "task_0")
    shutil.move(tmp_path / "task_1", mine / "task_1")
    check(find(mine), known)


def test_an_image_in_the_export_and_beside_it_is_one_where_both_are_the_same(tmp_path: Path) -> None:
    known = write_cvat(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine/JPEGImages", tmp_path / "mine/images")
    check(find(tmp_path / "mine"), known)
    save(tmp_path / "mine/images/park.png", np.zeros((24, 36, 3), np.uint8))
    (fault,) = faults(tmp_path / "mine")
    assert "park.png - expected one image of the name park - " in fault


def test_an_archive_beside_what_it_unpacks_to_changes_nothing(tmp_path: Path) -> None:
    known = write_cvat(tmp_path / "mine/task")
    write_zip(tmp_path / "mine/task.zip", tmp_path / "mine/task")
    check(find(tmp_path / "mine"), known)


def test_names_of_another_unicode_form_are_the_same(tmp_path: Path) -> None:
    known = write_cvat(tmp_path / "mine")
    mask = tmp_path / "mine/SegmentationClass/Süd 3.png"
    mask.rename(mask.with_name(unicodedata.normalize("NFD", mask.name)))
    check(find(tmp_path / "mine"), known)


def test_its_validation_list_is_the_validation_part_and_val_txt_goes_before(tmp_path: Path) -> None:
    write_cvat(tmp_path / "mine")
    text(tmp_path / "mine/ImageSets/Segmentation/Validation.txt", "north/0001", "park")
    assert set(find(tmp_path / "mine").val) == {"north_0001", "park"}
    text(tmp_path / "mine/val.txt", "lake")
    assert set(find(tmp_path / "mine").val) == {"lake"}


def test_a_class_list_of_ones_own_goes_before_the_label_map(tmp_path: Path) -> None:
    known = write_cvat(tmp_path / "mine")
    text(
        tmp_path / "mine/classes.yaml",
        "labels: color",
        "classes: [{name: road, color: [128, 64, 128]}, {name: car, color: [0, 0, 142]}]",
        "ignore: [[0, 0, 0]]",
    )
    data_set = find(tmp_path / "mine")
    assert data_set.catalog.class_names == ("road", "car")
    park = data_set.train["park"].labels
    assert park
    assert np.array_equal(read_labels(park, data_set.catalog, size=(24, 36)), known["park"] - np.uint8(1))


def rewrite_map(root: Path, *lines: str) -> None:
    text(root / "labelmap.txt", *lines)


def damage_color(root: Path) -> None:
    save(root / "SegmentationClass/park.png", np.full((24, 36, 3), (64, 0, 128), np.uint8))


def clear_masks(root: Path) -> None:
    for file in (root / "SegmentationClass").rglob("*.png"):
        file.unlink()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a class twice": (
        lambda root: rewrite_map(root, "background:0,0,0::", "road:128,64,128::", "car:0,0,142::", "road:1,2,3::"),
        "labelmap.txt - line 4 - expected every class once - found road twice - remove one",
    ),
    "a color twice": (
        lambda root: rewrite_map(root, "background:0,0,0::", "road:128,64,128::", "car:128,64,128::"),
        "labelmap.txt - line 3 - expected a color of its own for car - road has it too - give it another in CVAT",
    ),
    "no color": (
        lambda root: rewrite_map(root, "background:0,0,0::", "road:::", "car:0,0,142::"),
        "labelmap.txt - line 2 - expected name:red,green,blue:: - found 'road:::' - correct it",
    ),
    "a color out of range": (
        lambda root: rewrite_map(root, "background:0,0,256::"),
        "labelmap.txt - line 1 - expected name:red,green,blue:: - found 'background:0,0,256::' - correct it",
    ),
    "an empty label map": (lambda root: rewrite_map(root, "# nothing"), "expected 1 to 255 classes - found 0"),
    "no label map": (
        lambda root: (root / "labelmap.txt").unlink(),
        "labelmap.txt - expected the label map of CVAT - found No such file or directory - export once more",
    ),
    "a missing image": (
        lambda root: (root / "JPEGImages/park.png").unlink(),
        'park.* - expected the image of mine/SegmentationClass/park.png - found none - export once more with "Save images"',
    ),
    "no image at all": (
        lambda root: shutil.rmtree(root / "JPEGImages"),
        'SegmentationClass/hill.png - found none - export once more with "Save images", or put the images into `images` beside',
    ),
    "twin masks": (
        lambda root: save(root / "SegmentationClass/park.bmp", np.zeros((24, 36, 3), np.uint8)),
        "park.png - expected one mask of each image - mine/SegmentationClass/park.bmp is another - remove one",
    ),
    "no mask": (
        clear_masks,
        "SegmentationClass - expected masks of images - found none - annotate some and export again",
    ),
    "a wrong val.txt": (lambda root: text(root / "val.txt", "nobody"), "val.txt - entry 1 - expected an image of the data set"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_what_is_wrong_is_one_line(case: str, tmp_path: Path) -> None:
    damage, says = DAMAGES[case]
    write_cvat(tmp_path / "mine", labeled=7)
    damage(tmp_path / "mine")
    with pytest.raises(ValueError, match=r" - ") as caught:
        find(tmp_path / "mine")
    said = str(caught.value).replace(f"{tmp_path}/", "")
    assert "\n" not in said
    assert any(says in fault.replace(f"{tmp_path}/", "") for fault in faults(tmp_path / "mine")), faults(tmp_path / "mine")


def test_all_that_is_wrong_is_found_at_once(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    write_cvat(root)
    for case in ("a class twice", "a missing image", "twin masks", "a wrong val.txt"):
        DAMAGES[case][0](root)
    assert len(faults(root)) == 4
    with pytest.raises(ValueError, match=r"\(wrong too: .*park\.png, .*/park\.\*, .*val\.txt\)"):
        find(root)


def test_a_color_that_the_label_map_lacks_is_named(tmp_path: Path) -> None:
    write_cvat(tmp_path / "mine")
    damage_color(tmp_path / "mine")
    data_set = find(tmp_path / "mine")
    labels = data_set.train["park"].labels
    assert labels
    with pytest.raises(ValueError, match=r"park\.png - expected values of mine's classes - found #400080 - correct"):
        read_labels(labels, data_set.catalog, size=(24, 36))


def test_exports_must_agree_on_colors(tmp_path: Path) -> None:
    for number in (0, 1):
        write_cvat(tmp_path / f"mine/task_{number}", labeled=6 * number)
        (tmp_path / f"mine/task_{number}/SegmentationClass").mkdir(exist_ok=True)
    assert not faults(tmp_path / "mine")
    rewrite_map(tmp_path / "mine/task_1", "background:0,0,0::", "road:9,9,9::", "car:0,0,142::")
    (fault,) = faults(tmp_path / "mine")
    assert fault.endswith("expected road in the color of the other exports, (128, 64, 128) - found (9, 9, 9) - agree")


def test_exports_of_two_tools_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_cvat(tmp_path / "mine")
    text(tmp_path / "mine/a.json", '{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(ValueError, match=r"one tool - found a\.json of COCO and masks of CVAT in mine - keep one, or add"):
        find(tmp_path / "mine")


def test_a_picture_that_lies_turned_in_its_file_fits_its_upright_mask(tmp_path: Path) -> None:
    known = write_cvat(tmp_path / "mine")
    image = tmp_path / "mine/JPEGImages/north/0001.jpg"
    with Image.open(image) as picture:
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.transpose(Image.Transpose.ROTATE_90).save(image, exif=exif)
    check(find(tmp_path / "mine"), known)
