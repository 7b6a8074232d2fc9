"""Label files in every format, read back by who will read them."""

import json
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official  # noqa: N813
from PIL import Image

from pipeline.datasets import cityscapes, voc
from pipeline.predictions.jobs import plan_jobs

IMAGE = np.zeros((10, 14, 3), np.uint8)
CERTAIN = np.ones((10, 14), np.float32)
COLORS = ((10, 20, 30), (200, 100, 0), (0, 0, 255))


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def prediction(classes: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, classes, (10, 14)).astype(np.uint8)


def test_labels_lie_in_folders_like_those_of_the_images(tmp_path: Path) -> None:
    touch(*(tmp_path / "images" / name for name in ("b.JPG", "sub dir/ä.png", ".hidden.png", ".git/c.png", "notes.txt")))
    jobs = plan_jobs(tmp_path / "images", tmp_path / "out", name="labels", class_names="abc", overlays=True)
    assert [job.labels for job in jobs] == [tmp_path / "out/labels/b.png", tmp_path / "out/labels/sub dir/ä.png"]
    assert [job.overlay for job in jobs] == [tmp_path / "out/overlays/b.png", tmp_path / "out/overlays/sub dir/ä.png"]
    for job in jobs:
        job.write(IMAGE + 100, prediction(3), CERTAIN, COLORS)
        with Image.open(job.labels) as picture:
            assert picture.mode == "P"
            assert np.array_equal(np.asarray(picture), prediction(3))
            assert np.array_equal(np.asarray(picture.convert("RGB")), np.array(COLORS)[prediction(3)])
        assert job.overlay
        expected = [[[round(0.6 * part + 0.4 * 100) for part in COLORS[label]] for label in row] for row in prediction(3)]
        with Image.open(job.overlay) as picture:
            assert np.asarray(picture).tolist() == expected
    assert not any(path.name.endswith(".partial") for path in (tmp_path / "out").rglob("*"))


def test_the_official_script_gives_a_perfect_cityscapes_submission_full_marks(tmp_path: Path) -> None:
    names = ("berlin_000000_000019_leftImg8bit.png", "bielefeld_000001_000019_leftImg8bit.png")
    touch(*(tmp_path / "images" / name.split("_")[0] / name for name in names))
    jobs = plan_jobs(tmp_path / "images", tmp_path / "out", name="cityscapes", class_names=cityscapes.CLASS_NAMES)
    truths = []
    for job, name in zip(jobs, names, strict=True):
        labels = prediction(19)
        job.write(IMAGE, labels, CERTAIN, cityscapes.COLORS)
        truth = tmp_path / "gtFine" / name.replace("leftImg8bit", "gtFine_labelIds")
        truth.parent.mkdir(exist_ok=True)
        ids = np.array([one.id for train_id in range(19) for one in official.labels if one.trainId == train_id], np.uint8)
        Image.fromarray(ids[labels]).save(truth)
        Image.fromarray(ids[labels].astype(np.uint16) * 1000).save(str(truth).replace("labelIds", "instanceIds"))
        truths.append(str(truth))
        with Image.open(job.labels) as picture:
            assert picture.mode == "L"
    official.args.predictionPath = str(tmp_path / "out")
    official.args.predictionWalk = None
    official.args.exportFile = str(tmp_path / "result.json")
    official.args.quiet = True
    official.args.evalInstLevelScore = False
    found = [official.getPrediction(official.args, truth) for truth in truths]
    official.evaluateImgLists(found, truths, official.args)
    assert json.loads((tmp_path / "result.json").read_text())["averageScoreClasses"] == pytest.approx(1.0)


def test_a_voc_submission_has_the_palette_of_the_development_kit_and_its_folders(tmp_path: Path) -> None:
    touch(tmp_path / "images/2008_000006.jpg")
    [job] = plan_jobs(tmp_path / "images", tmp_path / "out", name="voc", class_names=voc.CLASS_NAMES)
    assert job.labels == tmp_path / "out/results/VOC2012/Segmentation/comp6_test_cls/2008_000006.png"
    job.write(IMAGE, prediction(21), CERTAIN, ((0, 0, 0),) * 21)
    with Image.open(job.labels) as picture:
        assert np.array_equal(np.asarray(picture), prediction(21))
        assert picture.convert("RGB").getpixel((0, 0)) == voc.COLORS[prediction(21)[0, 0]]


@pytest.mark.parametrize(
    ("images", "name"), [("data/labels", "labels"), ("data/cityscapes", "cityscapes"), ("data/overlays", "voc")]
)
def test_images_in_a_folder_named_like_one_of_results_are_never_replaced(tmp_path: Path, images: str, name: str) -> None:
    touch(tmp_path / images / "a.png")
    classes = voc.CLASS_NAMES if name == "voc" else cityscapes.CLASS_NAMES
    with pytest.raises(ValueError, match=f"data - expected results outside .*{images} - found .*a.* among the images - choose"):
        plan_jobs(tmp_path / images, tmp_path / "data", name=name, class_names=classes, overlays=True)


def test_two_pictures_of_one_frame_are_no_cityscapes_submission(tmp_path: Path) -> None:
    names = ("berlin_000000_000019_leftImg8bit.png", "berlin_000000_000019_rightImg8bit.png")
    touch(*(tmp_path / "images" / name for name in names))
    with pytest.raises(ValueError, match=r"rightImg8bit.png - expected one image for .* - .*leftImg8bit.png is another"):
        plan_jobs(tmp_path / "images", tmp_path / "out", name="cityscapes", class_names=cityscapes.CLASS_NAMES)


@pytest.mark.parametrize(
    ("files", "out", "name", "says"),
    [
        ((), "out", "labels", "images - expected images, .bmp"),
        (("a.jpg", "a.png"), "out", "labels", "a.png - expected one image for .*out/labels/a.png - .*a.jpg is another - rename"),
        (("x/a.png", "y/a.png"), "out", "voc", "y/a.png - expected one image for"),
        (("a.png",), "images/out", "labels", "images/out - expected a folder outside"),
        (("a.png",), "images", "labels", "images - expected a folder outside"),
        (("a.png",), "out", "cityscapes", "--format cityscapes - expected a model of its 19 classes - found 21: background"),
    ],
)
def test_what_cannot_be_predicted_is_told_before_anything_is(
    tmp_path: Path, files: tuple[str, ...], out: str, name: str, says: str
) -> None:
    (tmp_path / "images").mkdir()
    touch(*(tmp_path / "images" / file for file in files))
    with pytest.raises(ValueError, match=says):
        plan_jobs(tmp_path / "images", tmp_path / out, name=name, class_names=voc.CLASS_NAMES)
