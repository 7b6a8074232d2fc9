from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.camvid import CLASSES, find_camvid
from pipeline.datasets.check import check_samples
from pipeline.params import CamVidParams

HELD_OUT = CamVidParams(val_sequence="0006R0")
SHIPPED = CamVidParams(val_sequence=None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """CamVid as the SegNet tutorial ships it, with frames of three videos."""
    rng = np.random.default_rng(0)
    for part, names in {"train": ("0001TP_006690", "0006R0_f00930", "0016E5_00390"), "val": ("0016E5_07959",)}.items():
        for name in names:
            for folder, array in ((part, (18, 24, 3)), (f"{part}annot", (18, 24))):
                (tmp_path / folder).mkdir(exist_ok=True)
                values = rng.integers(0, 12, array).astype(np.uint8)
                Image.fromarray(values).save(tmp_path / folder / f"{name}.png")
    return tmp_path


def test_a_whole_video_is_held_out(root: Path) -> None:
    source = find_camvid(root, HELD_OUT)
    assert set(source.val) == {"0006R0_f00930"}
    assert set(source.train) == {"0001TP_006690", "0016E5_00390", "0016E5_07959"}


def test_the_shipped_parts_are_used_without_a_held_out_video(root: Path) -> None:
    source = find_camvid(root, SHIPPED)
    assert set(source.val) == {"0016E5_07959"}
    assert len(source.train) == 3


def test_the_eleventh_value_is_void(root: Path) -> None:
    source = find_camvid(root, SHIPPED)
    assert len(CLASSES) == len(set(CLASSES.values())) == 11
    assert source.catalog.train_ids[11] == 255
    samples = list(check_samples(source, sorted(source.train), labels_required=True, workers=2))
    raw = np.asarray(Image.open(root / "trainannot/0001TP_006690.png"))
    assert samples[0][1].tolist() == [int((raw == label).sum()) for label in range(11)]


@pytest.mark.parametrize("part", ["train", "trainannot", "val", "valannot"])
def test_a_missing_folder_is_named(root: Path, part: str) -> None:
    (root / part).rename(root / "elsewhere")
    with pytest.raises(ValueError, match=f"{part} - expected a folder of CamVid"):
        find_camvid(root, HELD_OUT)


def test_an_image_without_a_label_file_is_unlabeled(root: Path) -> None:
    (root / "trainannot/0016E5_00390.png").unlink()
    source = find_camvid(root, HELD_OUT)
    assert source.train["0016E5_00390"].labels is None
    with pytest.raises(ValueError, match=r"train/0016E5_00390\.png - expected a label file for this image"):
        list(check_samples(source, ["0016E5_00390"], labels_required=True, workers=1))


def test_a_missing_image_is_named(root: Path) -> None:
    (root / "train/0016E5_00390.png").unlink()
    with pytest.raises(ValueError, match=r"train/0016E5_00390\.png - expected the image"):
        find_camvid(root, HELD_OUT)


def test_an_empty_folder_is_named(root: Path) -> None:
    for folder in ("train", "trainannot"):
        for file in (root / folder).iterdir():
            file.unlink()
    with pytest.raises(ValueError, match="expected images of CamVid"):
        find_camvid(root, HELD_OUT)


def test_a_sequence_without_frames_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="val_sequence"):
        find_camvid(root, CamVidParams(val_sequence="Seq05VD"))


def test_a_label_outside_the_classes_is_found_when_the_files_are_checked(root: Path) -> None:
    Image.fromarray(np.full((18, 24), 12, np.uint8)).save(root / "trainannot/0016E5_00390.png")
    source = find_camvid(root, HELD_OUT)
    with pytest.raises(ValueError, match=r"0016E5_00390\.png .* found 12"):
        list(check_samples(source, sorted(source.train), labels_required=True, workers=2))


def test_label_files_of_unlabeled_images_are_optional(root: Path) -> None:
    source = find_camvid(root, HELD_OUT)
    bare = {name: type(pair)(pair.image, None) for name, pair in source.train.items()}
    unlabeled = type(source)(source.catalog, bare, source.val)
    samples = [sample for sample, _ in check_samples(unlabeled, sorted(bare), labels_required=False, workers=1)]
    assert all(sample.labels is None for sample in samples)
    with pytest.raises(ValueError, match="expected a label file for this image"):
        list(check_samples(unlabeled, sorted(bare), labels_required=True, workers=1))
