"""A folder of one's own: what `classes.yaml` may say, and what is refused with the key or the file."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from pipeline.datasets import folder
from pipeline.datasets.data_set import DataSet
from pipeline.datasets.prepare import prepare_data_set
from pipeline.params import read_params
from pipeline.samples.images import read_labels
from pipeline.samples.sample_lists import read_samples
from tests.datasets.layouts import save, write_coco, write_folder, write_zip
from tests.workspace import ROOT

LABELS = np.zeros((24, 40), np.uint8)


def find_folder(root: Path) -> DataSet:
    return folder.find_folder(root, drawn=root.parent / "drawn", workers=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path)
    return tmp_path


def declare(root: Path, text: str) -> None:
    (root / "classes.yaml").write_text(text)


def test_subfolders_are_joined_to_the_id_and_names_may_hold_anything(root: Path) -> None:
    data_set = find_folder(root)
    assert {"Straße 01", "trip 0_00", "trip 1_09"} < set(data_set.train)
    assert data_set.train["trip 1_09"].labels is None
    assert data_set.train["trip 0_00"].labels == root / "labels/trip 0/00.png"


def test_names_alone_are_numbered_from_zero_and_255_is_ignored(root: Path) -> None:
    catalog = find_folder(root).catalog
    assert catalog.class_names == ("sky", "road", "car")
    assert catalog.train_ids == {0: 0, 1: 1, 2: 2, 255: 255}
    assert len(set(catalog.colors)) == 3


def test_numbers_of_ones_own_may_be_any_of_16_bits(root: Path) -> None:
    declare(root, "classes: [{name: a, id: 500}, {name: b, id: 255, color: [1, 2, 3]}]\nignore: [0, 7]\n")
    catalog = find_folder(root).catalog
    assert catalog.train_ids == {500: 0, 255: 1, 0: 255, 7: 255}
    assert catalog.colors[1] == (1, 2, 3)


WRONG = {
    "unknown key": ("classes: [a]\nlabel: index\n", "classes.yaml - label - "),
    "no class": ("classes: []\n", "classes.yaml - classes - "),
    "no list": ("labels: index\n", "classes.yaml - classes - "),
    "no mapping": ("- a\n", "classes.yaml - the whole file - "),
    "no YAML": ("classes: [a\n", "classes.yaml - expected YAML"),
    "a name twice": ("classes: [a, b, a]\n", "expected every class name once - found a, b, a"),
    "an id twice": ("classes: [{name: a, id: 1}, {name: b, id: 1}]\n", "expected every id or color once"),
    "a class that is ignored": ("classes: [a, b]\nignore: [1]\n", "expected every id or color once"),
    "an id out of range": ("classes: [{name: a, id: 70000}]\n", "classes.yaml - classes.0.id - "),
    "a color out of range": ("classes: [{name: a, color: [1, 2, 256]}]\n", "classes.yaml - classes.0.color.2 - "),
    "a missing color": ("labels: color\nclasses: [{name: a, color: [1, 2, 3]}, b]\n", "expected a color for each.* b has none"),
    "a number among colors": ("labels: color\nclasses: [{name: a, color: [1, 2, 3]}]\nignore: [0]\n", "classes.yaml - ignore - "),
    "a color among numbers": ("classes: [a]\nignore: [[0, 0, 0]]\n", "classes.yaml - ignore - "),
    "too many classes": (
        f"classes: [{', '.join(f'c{index}' for index in range(256))}]\n",
        "expected 1 to 255 classes - found 256",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_class_list_is_told_with_its_key(root: Path, case: str) -> None:
    text, says = WRONG[case]
    declare(root, text)
    with pytest.raises(ValueError, match=says):
        find_folder(root)


def test_a_list_of_validation_images_is_the_validation_part(root: Path) -> None:
    everything = find_folder(root)
    assert everything.val == {}
    (root / "val.txt").write_text("trip 0_00\nStraße 01\n", encoding="utf-8")
    data_set = find_folder(root)
    assert set(data_set.val) == {"trip 0_00", "Straße 01"}
    assert {**data_set.train, **data_set.val} == everything.train
    (root / "val.txt").write_text("nobody\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"val\.txt - entry 1 - expected an image of the data set - found 'nobody' - correct"):
        find_folder(root)


def test_a_jpeg_of_labels_is_refused(root: Path) -> None:
    save(root / "labels/Straße 08.jpg", LABELS)
    with pytest.raises(ValueError, match=r"Straße 08\.jpg - expected a lossless label file - found JPEG"):
        find_folder(root)


def test_two_label_files_of_one_image_are_refused(root: Path) -> None:
    save(root / "labels/Straße 01.bmp", LABELS)
    with pytest.raises(ValueError, match=r"Straße 01\.png - expected one label file - .*Straße 01\.bmp is another - remove one"):
        find_folder(root)


def test_two_images_of_one_name_are_refused(root: Path) -> None:
    Image.new("RGB", (40, 24)).save(root / "images/Straße 02.bmp")
    with pytest.raises(ValueError, match=r"expected every name once - .*Straße 02"):
        find_folder(root)
    (root / "images/Straße 02.bmp").unlink()
    Image.new("RGB", (40, 24)).save(root / "images/trip 0_00.png")
    with pytest.raises(ValueError, match=r"expected every name once - .*trip 0"):
        find_folder(root)


def test_hidden_files_are_no_images(root: Path) -> None:
    count = len(find_folder(root).train)
    for name in ("images/.DS_Store", "images/._Straße 01.png", "images/.thumbs/a.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    assert len(find_folder(root).train) == count


def test_a_color_may_be_spelled_as_the_web_does(root: Path) -> None:
    declare(root, "labels: color\nclasses: [{name: a, color: '#8000ff'}]\nignore: ['#000000']\n")
    catalog = find_folder(root).catalog
    assert catalog.colors == ((128, 0, 255),)
    assert catalog.train_ids == {0x8000FF: 0, 0: 255}


def test_names_are_compared_in_one_unicode_form(root: Path) -> None:
    image, labels = root / "images/Straße 01.JPG", root / "labels/Straße 01.png"
    (root / "images" / "Süd.jpg").write_bytes(image.read_bytes())
    (root / "labels" / "Süd.png").write_bytes(labels.read_bytes())
    assert find_folder(root).train["Süd"].labels == root / "labels" / "Süd.png"


def test_a_label_file_of_another_name_is_told_how_names_go(root: Path) -> None:
    (root / "labels/Straße 01.png").rename(root / "labels/Straße 01_mask.png")
    with pytest.raises(ValueError, match=r"Straße 01_mask\.\* - expected the image of .* - found none - name both alike"):
        find_folder(root)


def test_a_class_list_that_explodes_or_nests_is_one_line(root: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
    for text in ("\n".join([*lines, "classes: *a11"]), "classes: " + "[" * 5000 + "]" * 5000):
        declare(root, text)
        with pytest.raises(ValueError, match=r"classes.yaml - ") as caught:
            find_folder(root)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600


def test_what_is_left_out_is_counted_and_named(root: Path) -> None:
    assert find_folder(root).remarks == ()
    for name in ("IMG_1.HEIC", "notes.txt", "Thumbs.db", "._x.jpg", ".DS_Store"):
        (root / "images" / name).write_bytes(b"x")
    (root / "images/gone.jpg").symlink_to(root / "nowhere.jpg")
    (root / "images/linked").symlink_to(root / "labels")
    (root / "labels/Straße 02.npy").write_bytes(b"x")
    images, labels = find_folder(root).remarks
    assert "images: 4 left out" in images
    for part in ("IMG_1.HEIC", "notes.txt", "gone.jpg (a link to nothing)", "linked (a linked folder)", "save HEIC as JPEG"):
        assert part in images
    assert "labels: 1 left out" in labels


def test_masks_of_0_and_255_alone_are_two_classes_and_with_a_third_255_must_be_declared(tmp_path: Path) -> None:
    mask = np.zeros((24, 40), np.uint8)
    mask[:, 20:] = 255
    for index in range(8):
        save(tmp_path / f"mine/images/{index}.png", np.full((24, 40, 3), index, np.uint8))
        if index < 5:
            save(tmp_path / f"mine/labels/{index}.png", mask)
    (tmp_path / "mine/classes.yaml").write_text("classes: [background, building]\n")
    (line,) = (line for line in prepare(tmp_path) if "255" in line)
    assert line.endswith(
        "label files hold 0 and 255 alone, and 255 is read as building; `ignore: [255]` in classes.yaml if it is no class"
    )
    (tmp_path / "mine/classes.yaml").write_text("classes: [background, building, car]\n")
    with pytest.raises(ValueError, match=r"none of building, car, while 50.0 % .* declare it: {name: building, id: 255}; if"):
        prepare(tmp_path)
    (tmp_path / "mine/classes.yaml").write_text("classes: [background, {name: building, id: 255}]\n")
    remarks = prepare(tmp_path)
    assert not any("building" in line for line in remarks)
    assert any("mIoU over 1 validation images" in line for line in remarks)
    (tmp_path / "mine/classes.yaml").write_text("classes: [background, building]\nignore: [255]\n")
    assert any("no labeled pixel shows building" in line for line in prepare(tmp_path))


def test_turned_images_are_counted_and_all_wrong_files_named(root: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    write_folder(mine)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    with Image.open(mine / "images/Straße 02.png") as picture:
        picture.copy().save(mine / "images/Straße 02.png", exif=exif)
    assert any("1 images with label files are turned by their EXIF" in line for line in prepare(tmp_path))
    for file in (mine / "labels").rglob("*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"\.png - expected an image file .* \(wrong too: .*\.png, .*\.png\)"):
        prepare(tmp_path)


def prepare(place: Path) -> list[str]:
    """Prepare the data set in `place/mine`."""
    params = read_params(ROOT / "params.yaml").data
    own = params.model_copy(update={"name": "folder", "root": str(place / "mine"), "labeled_fraction": 1.0})
    out = place / "prepared"
    out.mkdir(exist_ok=True)
    return prepare_data_set(own, out, out=out, lists=place, seed=0, workers=1, progress=lambda items, **_: items)


@pytest.mark.parametrize(
    ("rename", "example"),
    [
        (lambda stem, _: f"{stem}_mask", "_mask for the image"),
        (lambda stem, _: f"{stem}-gt", "-gt for the image"),
        (lambda stem, _: f"mask_{stem}", "like mask_"),
        (lambda _, image: image, "for the image"),
    ],
)
def test_what_a_tool_adds_to_the_names_of_all_label_files_is_understood_and_said(
    rename: Callable[[str, str], str], example: str, root: Path
) -> None:
    plain = find_folder(root)
    for image in [file for file in (root / "images").rglob("*") if file.is_file()]:
        labels = (root / "labels" / image.relative_to(root / "images")).with_suffix(".png")
        if labels.exists():
            labels.rename(labels.with_name(f"{rename(image.stem, image.name)}.png"))
    data_set = find_folder(root)
    assert {image_id for image_id, pair in data_set.train.items() if pair.labels} == {
        image_id for image_id, pair in plain.train.items() if pair.labels
    }
    (line,) = data_set.remarks
    assert example in line
    assert line.endswith("and are read so")


def test_a_number_before_a_number_is_no_addition_of_a_tool(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / f"mine/images/{number}.png", np.full((24, 40, 3), number, np.uint8))
        save(tmp_path / f"mine/labels/1{number}.png", LABELS)
    declare(tmp_path / "mine", "classes: [a, b]")
    with pytest.raises(
        ValueError, match=r"images/10\.\* - expected the image of .*labels/10\.png - found none - name both alike"
    ):
        find_folder(tmp_path / "mine")


def test_a_list_may_spell_names_in_another_unicode_form(root: Path) -> None:
    (root / "val.txt").write_text(unicodedata.normalize("NFD", "Süd\nStraße 01\n"), encoding="utf-8")
    save(root / "images/Süd.png", np.zeros((24, 40, 3), np.uint8))
    assert set(find_folder(root).val) == {"Süd", "Straße 01"}


def test_source_and_target_may_both_have_files_to_be_drawn(tmp_path: Path) -> None:
    for name in ("source", "target"):
        write_coco(tmp_path / name)
    write_zip(tmp_path / "source.zip", tmp_path / "source")
    params = read_params(ROOT / "params.yaml").data.model_copy(
        update={
            "name": "folder",
            "root": str(tmp_path / "target"),
            "source": "folder",
            "source_root": str(tmp_path / "source.zip"),
            "labeled_fraction": 1.0,
        }
    )
    drawn, out = tmp_path / "partial", tmp_path / "prepared"
    drawn.mkdir()
    remarks = prepare_data_set(params, drawn, out=out, lists=tmp_path, seed=0, workers=1, progress=lambda items, **_: items)
    drawn.rename(out)
    labeled, val = (read_samples(out / f"{name}.tsv", labels=True) for name in ("labeled", "val"))
    assert all(sample.labels and sample.labels.parent == out / "source/annotations" for sample in labeled)
    assert all(sample.image.is_relative_to(out / "source/unpacked/source.zip") for sample in labeled)
    assert all(sample.labels and sample.labels.parent == out / "annotations" for sample in val)
    assert all(sample.image.is_file() and sample.labels and sample.labels.is_file() for sample in (*labeled, *val))
    assert any(line.startswith(f"{tmp_path / 'source.zip'}: 6 regions") for line in remarks), remarks


def test_label_files_may_lie_in_masks(root: Path) -> None:
    plain = find_folder(root)
    (root / "labels").rename(root / "masks")
    assert {pair.image for pair in find_folder(root).train.values() if pair.labels} == {
        pair.image for pair in plain.train.values() if pair.labels
    }


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA"])
def test_masks_of_two_values_are_read_in_every_mode_that_tools_write(mode: str, tmp_path: Path) -> None:
    drawn = np.kron(np.random.default_rng(0).integers(0, 2, (4, 5)), np.ones((6, 8))).astype(np.uint8)
    for index in range(5):
        save(tmp_path / f"mine/images/{index}.webp", np.full((24, 40, 3), 9 * index, np.uint8))
        picture = Image.fromarray(drawn * 255).convert(mode if mode != "P" else "L")
        if mode == "P":
            picture.putpalette(bytes([0, 0, 0] * 255 + [255, 255, 255]))
        (tmp_path / "mine/labels").mkdir(exist_ok=True)
        picture.save(tmp_path / f"mine/labels/{index}.png")
    declare(tmp_path / "mine", "classes: [background, building]")
    data_set = find_folder(tmp_path / "mine")
    for pair in data_set.train.values():
        assert pair.labels
        assert np.array_equal(read_labels(pair.labels, data_set.catalog, size=(24, 40)), drawn)


def test_two_classes_with_255_as_a_number_among_others_stay_as_they_were(tmp_path: Path) -> None:
    for index, values in enumerate(([0, 1], [0, 255], [0, 1])):
        save(tmp_path / f"mine/images/{index}.png", np.zeros((24, 40, 3), np.uint8))
        save(tmp_path / f"mine/labels/{index}.png", np.full((24, 40), values * 20, np.uint8))
    declare(tmp_path / "mine", "classes: [background, building]")
    data_set = find_folder(tmp_path / "mine")
    assert data_set.catalog.train_ids == {0: 0, 1: 1, 255: 255}
    assert data_set.remarks == ()


def test_all_that_is_wrong_with_a_folder_is_found_at_once(root: Path) -> None:
    save(root / "labels/Straße 08.jpg", LABELS)
    save(root / "labels/Straße 01.bmp", LABELS)
    save(root / "labels/nobody.png", LABELS)
    (root / "val.txt").write_text("nobody\n")
    found = folder.look_into(root, drawn=root.parent / "drawn", workers=1)
    assert [fault.partition(" - ")[0].rpartition("/")[2] for fault in found.faults] == [
        "Straße 01.png",
        "Straße 08.jpg",
        "nobody.*",
        "val.txt",
    ]
    with pytest.raises(ValueError, match=r"Straße 01\.png - .* \(wrong too: .*Straße 08\.jpg, .*nobody\.\*, .*val\.txt\)"):
        find_folder(root)
