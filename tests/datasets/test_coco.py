"""COCO's JSON: drawn as pycocotools' own reader draws it, found wherever tools put it, what is wrong told in one line."""

import contextlib
import copy
import io
import itertools
import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as official
from pycocotools.coco import COCO

from pipeline.datasets.data_set import DataSet
from pipeline.datasets.folder import find_folder, look_into
from pipeline.datasets.folders.coco_masks import Region, RunLengths, check_segmentation, draw_regions
from pipeline.samples.images import read_labels
from tests.datasets.layouts import Labels, coco_tree, rectangle, save, text, tool_scene, write_coco, write_zip

# Of pycocotools' decode, which the pipeline does not call.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")

FILE = "annotations/instances_default.json"
SIZE = (24, 36)


def find(root: Path) -> DataSet:
    shutil.rmtree(root.parent / "drawn", ignore_errors=True)
    return find_folder(root, drawn=root.parent / "drawn", workers=2)


def faults(root: Path) -> tuple[str, ...]:
    shutil.rmtree(root.parent / "drawn", ignore_errors=True)
    return look_into(root, drawn=root.parent / "drawn", workers=2).faults


def labels_of(data_set: DataSet, image_id: str) -> Labels:
    labels = data_set.pairs[image_id].labels
    assert labels
    return read_labels(labels, data_set.catalog, size=SIZE)


def official_labels(path: Path, number: int) -> Labels:
    """Draw an image as pycocotools decodes its annotations: crowds first, then in order; 0 is background."""
    with contextlib.redirect_stdout(io.StringIO()):
        reader = COCO(path)
    annotations = reader.loadAnns(reader.getAnnIds(imgIds=[number]))
    labels = np.zeros(SIZE, np.uint8)
    for annotation in sorted(annotations, key=lambda annotation: (1 - annotation["iscrowd"], annotation["id"])):
        labels[reader.annToMask(annotation).astype(bool)] = annotation["category_id"]
    return labels


def test_label_files_are_those_of_pycocotools(tmp_path: Path) -> None:
    tree = write_coco(tmp_path / "mine")
    data_set = find(tmp_path / "mine")
    assert data_set.catalog.class_names == ("background", "road", "car")
    labeled = sorted(image_id for image_id, pair in data_set.pairs.items() if pair.labels)
    assert labeled == ["Süd 3", "lake", "mill", "north_0001", "park", "street 12"]
    for image in tree["images"][:6]:
        image_id = str(Path(image["file_name"]).with_suffix("")).replace("/", "_")
        expected = official_labels(tmp_path / "mine" / FILE, image["id"])
        assert len(np.unique(expected)) == 3
        assert np.array_equal(labels_of(data_set, image_id), expected)
    assert len(data_set.pairs) == 8, "an image without a region, and one that the file does not list, are unlabeled"
    assert [line.partition(": ")[2] for line in data_set.remarks] == [
        "6 regions with iscrowd (CVAT's brush, COCO's crowds) drawn below all others",
        "1 listed images without a region: unlabeled, not background",
    ]


def test_label_files_are_the_same_bytes_for_any_number_of_threads_and_nothing_is_written_to_the_folder(tmp_path: Path) -> None:
    write_coco(tmp_path / "mine")
    before = sorted((file, file.stat().st_mtime_ns) for file in (tmp_path / "mine").rglob("*"))
    drawn = []
    for workers in (1, 4):
        find_folder(tmp_path / "mine", drawn=tmp_path / f"drawn {workers}", workers=workers)
        folder = tmp_path / f"drawn {workers}/annotations"
        drawn.append({file.name: file.read_bytes() for file in folder.iterdir()})
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 6
    assert before == sorted((file, file.stat().st_mtime_ns) for file in (tmp_path / "mine").rglob("*"))


@given(bits=st.lists(st.booleans(), min_size=12, max_size=12), packed=st.booleans())
def test_run_lengths_read_as_pycocotools_reads_them(bits: list[bool], packed: bool) -> None:
    size = (3, 4)
    pixels = np.asfortranarray(np.array(bits, np.uint8).reshape(size))
    text = official.encode(pixels)["counts"].decode()
    flat = [0, *pixels.ravel("F").tolist()]
    changes = [place for place, (one, other) in enumerate(itertools.pairwise(flat)) if one != other]
    runs = np.diff([0, *changes, pixels.size]).tolist()
    lengths = RunLengths(size=size, counts=text if packed else runs)
    assert check_segmentation(lengths, size) is None
    assert np.array_equal(draw_regions([(1, Region(lengths))], size, rest=0), pixels)


@settings(max_examples=60)
@given(st.text(st.characters(codec="ascii"), max_size=40), st.integers(1, 9), st.integers(1, 9))
def test_no_text_as_run_lengths_is_more_than_a_fault(counts: str, height: int, width: int) -> None:
    lengths = RunLengths(size=(height, width), counts=counts)
    if check_segmentation(lengths, (height, width)) is None:
        assert draw_regions([(1, Region(lengths))], (height, width), rest=0).shape == (height, width)


@settings(max_examples=60)
@given(st.lists(st.floats(-70, 70), min_size=6, max_size=16))
def test_polygons_beyond_the_image_are_cut(numbers: list[float]) -> None:
    polygon = numbers[: len(numbers) // 2 * 2]
    assert check_segmentation([polygon], SIZE) is None
    drawn = draw_regions([(1, Region([polygon]))], SIZE, rest=0)
    assert np.array_equal(drawn, official.decode(official.frPyObjects([polygon], *SIZE))[..., 0])


def write(root: Path, name: str, tree: dict[str, Any], folder: str = "images") -> None:
    """Write a COCO file and those of its images that are not there."""
    for number, image in enumerate(tree["images"]):
        file = root / folder / image["file_name"]
        if not file.exists():
            save(file, tool_scene(number, SIZE)[0])
    text(root / name, json.dumps(tree))


def two_regions(number: int = 1) -> list[dict[str, Any]]:
    return [
        {"image_id": number, "category_id": 1, "segmentation": [rectangle(0, 0, 36, 12)]},
        {"image_id": number, "category_id": 2, "segmentation": [rectangle(0, 6, 36, 12)]},
    ]


def test_the_later_of_two_regions_lies_on_top(tmp_path: Path) -> None:
    write(tmp_path / "mine", "a.json", coco_tree(["1.png"], SIZE, two_regions()))
    assert labels_of(find(tmp_path / "mine"), "1")[[0, 7, 17, 20], 5].tolist() == [1, 2, 2, 0]


def test_several_files_of_the_same_images_are_drawn_in_order_of_their_names(tmp_path: Path) -> None:
    first, second = two_regions()
    write(tmp_path / "mine", "b.json", coco_tree(["1.png", "2.png"], SIZE, [first, *two_regions(2)]))
    write(tmp_path / "mine", "a.json", coco_tree(["1.png"], SIZE, [second]))
    data_set = find(tmp_path / "mine")
    assert labels_of(data_set, "1")[[0, 7, 17, 20], 5].tolist() == [1, 1, 2, 0]
    assert any("1 images annotated in several files" in line for line in data_set.remarks)


def test_the_parts_of_roboflow_are_train_pool_and_validation_part_and_its_root_category_is_no_class(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        names = [f"{part}{number}_jpg.rf.0a1b.jpg" for number in (1, 2)]
        tree = coco_tree(names, SIZE, [*two_regions(1), *two_regions(2)])
        tree["categories"] = [{"id": 0, "name": "things", "supercategory": "none"}] + [
            {**category, "supercategory": "things"} for category in tree["categories"]
        ]
        write(tmp_path / f"mine/{part}", "_annotations.coco.json", tree, "")
    data_set = find(tmp_path / "mine")
    assert sorted(data_set.train) == ["train_train1_jpg.rf.0a1b", "train_train2_jpg.rf.0a1b"]
    assert sorted(data_set.val) == ["valid_valid1_jpg.rf.0a1b", "valid_valid2_jpg.rf.0a1b"]
    assert data_set.catalog.class_names == ("background", "road", "car")
    assert any("2 images that files of a test part list are left out" in line for line in data_set.remarks)


def test_paths_of_the_machine_that_annotated_lead_to_the_images_here(tmp_path: Path) -> None:
    names = ["..\\..\\data\\upload\\1\\park.png", "/home/somebody/north/0001.png", unicodedata.normalize("NFD", "Süd.png")]
    tree = coco_tree(names, SIZE, [*two_regions(1), *two_regions(2), *two_regions(3)])
    for number, name in enumerate(("park.png", "north/0001.png", "south/0001.png", "Süd.png")):
        save(tmp_path / "mine/images" / name, tool_scene(number, SIZE)[0])
    text(tmp_path / "mine/result.json", json.dumps(tree))
    data_set = find(tmp_path / "mine")
    assert {image_id for image_id, pair in data_set.pairs.items() if pair.labels} == {"park", "north_0001", "Süd"}


def test_numbers_of_categories_may_begin_with_0_and_background_may_be_one(tmp_path: Path) -> None:
    tree = coco_tree(["1.png"], SIZE, [{**region, "category_id": region["category_id"] - 1} for region in two_regions()])
    tree["categories"] = [{"id": 0, "name": "car"}, {"id": 1, "name": "background"}]
    write(tmp_path / "mine", "a.json", tree)
    data_set = find(tmp_path / "mine")
    assert data_set.catalog.class_names == ("background", "car")
    assert labels_of(data_set, "1")[[0, 7, 17, 20], 5].tolist() == [1, 0, 0, 0]


def test_a_class_list_of_ones_own_chooses_categories_and_what_the_rest_is(tmp_path: Path) -> None:
    write(tmp_path / "mine", "a.json", coco_tree(["1.png"], SIZE, two_regions()))
    text(tmp_path / "mine/classes.yaml", "classes: [{name: car, color: '#00008e'}]")
    data_set = find(tmp_path / "mine")
    assert (data_set.catalog.class_names, data_set.catalog.colors) == (("car",), ((0, 0, 142),))
    assert labels_of(data_set, "1")[[0, 7, 17, 20], 5].tolist() == [255, 0, 0, 255]
    assert any("road not among the classes: ignored" in line for line in data_set.remarks)
    text(tmp_path / "mine/classes.yaml", "classes: [background, bus]")
    assert any(
        "expected names of categories or background - found bus - choose among road, car" in line
        for line in faults(tmp_path / "mine")
    )


def test_an_archive_and_annotations_in_an_archive_beside_the_images_are_read(tmp_path: Path) -> None:
    write_coco(tmp_path / "export")
    whole = find(tmp_path / "export")
    find_zip = find(write_zip(tmp_path / "mine.zip", tmp_path / "export"))
    shutil.copytree(tmp_path / "export/images", tmp_path / "beside/images")
    shutil.rmtree(tmp_path / "export/images")
    write_zip(tmp_path / "beside/task 3.zip", tmp_path / "export")
    for other in (find_zip, find(tmp_path / "beside")):
        assert other.pairs.keys() == whole.pairs.keys()
        assert {image_id for image_id, pair in other.pairs.items() if pair.labels} == {
            image_id for image_id, pair in whole.pairs.items() if pair.labels
        }


def test_a_picture_that_lies_turned_in_its_file_is_annotated_upright(tmp_path: Path) -> None:
    write(tmp_path / "mine", "a.json", coco_tree(["1.png"], SIZE, two_regions()))
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(tmp_path / "mine/images/1.png") as picture:
        picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "mine/images/1.png", exif=exif)
    assert labels_of(find(tmp_path / "mine"), "1")[[0, 7, 17, 20], 5].tolist() == [1, 2, 2, 0]
    write(tmp_path / "mine", "a.json", coco_tree(["1.png"], SIZE[::-1], two_regions()))
    (fault, *_) = faults(tmp_path / "mine")
    assert "image 1 - expected the size of " in fault
    assert fault.endswith("found (36, 24) - annotate it as viewers show it: its EXIF orientation counts")


def change(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    """Return what changes one value of a tree."""

    def apply(tree: Any) -> None:
        for key in path[:-1]:
            tree = tree[key]
        tree[path[-1]] = to

    return apply


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "an image without a name": (lambda tree: tree["images"][0].pop("file_name"), "a.json - images.0.file_name - Field required"),
    "text for a number": (
        change("annotations", 0, "category_id", to="x"),
        "a.json - annotations.0.category_id - Input should be",
    ),
    "an unknown image": (
        change("annotations", 0, "image_id", to=9),
        "annotation 1 - expected an image that the file lists - found 9",
    ),
    "an unknown category": (
        change("annotations", 1, "category_id", to=7),
        "annotation 2 - expected a category that the file lists - found 7 - export it again",
    ),
    "a missing image": (
        change("images", 0, "file_name", to="2.png"),
        "image 1 - expected 2.png in the folder - found none - add it",
    ),
    "a size of another file": (
        change("images", 0, "width", to=37),
        "found (24, 37) - annotate this very file",
    ),
    "two points": (
        change("annotations", 0, "segmentation", to=[[1.0, 2.0, 3.0, 4.0]]),
        "annotation 1 - expected polygons of x and y of three points at least - found 4 numbers - correct it in the",
    ),
    "a wild point": (
        change("annotations", 0, "segmentation", to=[[1.0, 2.0, 3.0, 4.0, 1e9, 0.0]]),
        "annotation 1 - expected coordinates in or near the image of (24, 36) - found 1000000000.0",
    ),
    "no number": (change("annotations", 0, "segmentation", to=[[0, 0, 1, 1, 9, float("nan")]]), "found nan"),
    "runs of another size": (
        change("annotations", 0, "segmentation", to={"size": [36, 24], "counts": [864]}),
        "annotation 1 - expected run lengths of the image's size (24, 36) - found (36, 24)",
    ),
    "runs beyond the image": (
        change("annotations", 0, "segmentation", to={"size": [24, 36], "counts": [0, 10**9]}),
        "annotation 1 - expected run lengths of 864 pixels in all - found 1000000000",
    ),
    "packed runs cut short": (
        change("annotations", 0, "segmentation", to={"size": [24, 36], "counts": "PQ"}),
        "annotation 1 - expected packed run lengths - found another text",
    ),
    "a category twice": (
        change("categories", 1, "name", to="road"),
        "a.json - categories - expected every name once - found 'road'",
    ),
    "boxes alone": (
        lambda tree: [annotation.pop("segmentation") for annotation in tree["annotations"]],
        "expected annotations with a segmentation - found none - export polygons or masks, not boxes",
    ),
    "an image twice": (
        lambda tree: tree["images"].append({**tree["images"][0], "id": 2}),
        "image 2 - expected every image once - found 1.png twice",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(case: str, tmp_path: Path) -> None:
    damage, says = WRONG[case]
    tree = coco_tree(["1.png"], SIZE, two_regions())
    write(tmp_path / "mine", "a.json", tree)
    tree = copy.deepcopy(tree)
    damage(tree)
    text(tmp_path / "mine/a.json", json.dumps(tree))
    with pytest.raises(ValueError, match=r" - ") as caught:
        find(tmp_path / "mine")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_file_cut_short_and_twin_images_are_one_line(tmp_path: Path) -> None:
    tree = coco_tree(["1.png"], SIZE, two_regions())
    write(tmp_path / "mine", "a.json", tree)
    write(tmp_path / "mine", "b.json", tree)
    cut = tmp_path / "mine/a.json"
    cut.write_text(cut.read_text()[:-9])
    (fault,) = faults(tmp_path / "mine")
    assert "a.json - expected COCO JSON - found " in fault
    cut.unlink()
    for place in ("one", "two"):
        shutil.copytree(tmp_path / "mine/images", tmp_path / "mine" / place)
    shutil.rmtree(tmp_path / "mine/images")
    assert any(
        "expected 1.png in the folder - found 2 of that name - add it, or rename it" in line for line in faults(tmp_path / "mine")
    )
