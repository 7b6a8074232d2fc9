from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets.catalog import Catalog
from pipeline.datasets.samples import Sample, read_ids, read_samples, write_ids, write_samples
from pipeline.datasets.sources import Pair, Source
from pipeline.datasets.splits import build_split, draw_labeled
from pipeline.params import DataParams, read_params
from tests.workspace import ROOT

CATALOG = Catalog("toy", ("a",), ((0, 0, 0),), {0: 0})
TRAIN = {f"t{index:02d}": Pair(Path(f"t{index}.png"), Path(f"l{index}.png")) for index in range(16)}
VAL = {"v0": Pair(Path("v0.png"), Path("lv0.png"))}
SOURCE = Source(CATALOG, TRAIN, VAL)


def data(**changes: object) -> DataParams:
    return read_params(ROOT / "params.yaml").data.model_copy(update={"labeled_fraction": 0.25, **changes})


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_smaller_fraction_lies_in_a_larger_one(count: int, one: float, other: float, seed: int) -> None:
    pool = [f"image{index}" for index in range(count)]
    small, large = (draw_labeled(pool, fraction=fraction, seed=seed) for fraction in sorted((one, other)))
    assert set(small) <= set(large)
    assert 1 <= len(small) <= count - 1


def test_cityscapes_eighth_and_quarter_have_the_published_sizes() -> None:
    pool = [f"image{index}" for index in range(2975)]
    assert [len(draw_labeled(pool, fraction=fraction, seed=0)) for fraction in (1 / 8, 1 / 4)] == [372, 744]


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_files() -> None:
    pool = list(TRAIN)
    assert draw_labeled(pool, fraction=0.5, seed=0) == draw_labeled(pool[::-1], fraction=0.5, seed=0)
    assert draw_labeled(pool, fraction=0.5, seed=0) != draw_labeled(pool, fraction=0.5, seed=1)


def test_labeled_unlabeled_and_val_share_no_image() -> None:
    split = build_split(SOURCE, data(), seed=3)
    assert len(split.labeled) == 4
    assert sorted(split.labeled + split.unlabeled) == sorted(TRAIN)
    assert split.val == ["v0"]


def test_images_without_label_files_are_unlabeled() -> None:
    train = {name: Pair(pair.image, pair.labels if name < "t04" else None) for name, pair in TRAIN.items()}
    split = build_split(Source(CATALOG, train, VAL), data(labeled_fraction=0.5), seed=0)
    assert set(split.labeled) <= {"t00", "t01", "t02", "t03"}
    assert len(split.labeled) == 2


def test_a_users_lists_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "labeled.txt").write_text("t03\n\nt01\n")
    (tmp_path / "unlabeled.txt").write_text("t05\n")
    lists = {"labeled_list": str(tmp_path / "labeled.txt"), "unlabeled_list": str(tmp_path / "unlabeled.txt")}
    split = build_split(SOURCE, data(**lists), seed=0)
    assert (split.labeled, split.unlabeled) == (["t01", "t03"], ["t05"])


def test_overlapping_lists_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("t03\n")
    lists = {"labeled_list": str(tmp_path / "list.txt"), "unlabeled_list": str(tmp_path / "list.txt")}
    with pytest.raises(ValueError, match="both hold t03"):
        build_split(SOURCE, data(**lists), seed=0)
    with pytest.raises(ValueError, match="labeled and val to be disjoint"):
        build_split(SOURCE, data(labeled_list=str(tmp_path / "list.txt"), val_list=str(tmp_path / "list.txt")), seed=0)


def test_labeling_every_image_leaves_nothing_to_learn_from_and_is_refused(tmp_path: Path) -> None:
    write_ids(tmp_path / "all.txt", TRAIN)
    with pytest.raises(ValueError, match="at least one unlabeled"):
        build_split(SOURCE, data(labeled_list=str(tmp_path / "all.txt")), seed=0)


@pytest.mark.parametrize(
    ("text", "found"), [("", "found none"), ("nobody\n", "nobody"), ("t01\nt01\n", "twice"), ("../x\n", "x")]
)
def test_a_wrong_list_is_one_line(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(ValueError, match=found) as caught:
        read_ids(tmp_path / "list.txt", TRAIN)
    assert "\n" not in str(caught.value)


def test_a_sample_list_reads_back_exactly(tmp_path: Path) -> None:
    samples = [Sample("a", 3, 4, Path("x/a.png"), "00", Path("y/a.png"), "11"), Sample("b", 5, 6, Path("x\t/b.png"), "22")]
    write_samples(tmp_path / "list.tsv", samples)
    assert read_samples(tmp_path / "list.tsv", labels=False) == samples
    with pytest.raises(ValueError, match="none for b"):
        read_samples(tmp_path / "list.tsv", labels=True)


@pytest.mark.parametrize("text", ["", "image_id\theight\n1\t2\n", "garbage"])
def test_a_malformed_sample_list_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.tsv").write_text(text)
    with pytest.raises(ValueError, match=r"list\.tsv") as caught:
        read_samples(tmp_path / "list.tsv", labels=False)
    assert "\n" not in str(caught.value)


def test_an_image_id_cannot_leave_its_folder(tmp_path: Path) -> None:
    write_samples(tmp_path / "list.tsv", [Sample("../../evil", 1, 1, Path("a.png"), "")])
    with pytest.raises(ValueError, match="evil"):
        read_samples(tmp_path / "list.tsv", labels=False)
