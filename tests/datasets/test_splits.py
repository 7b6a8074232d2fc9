from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets.catalog import Catalog
from pipeline.datasets.samples import Sample, read_ids, read_samples, write_ids, write_samples
from pipeline.datasets.sources import Pair, Source
from pipeline.datasets.splits import Split, build_split, draw_labeled
from pipeline.params import DataParams, read_params
from tests.workspace import ROOT

CATALOG = Catalog("toy", ("a",), ((0, 0, 0),), {0: 0})
TRAIN = {f"t{index:02d}": Pair(Path(f"t{index}.png"), Path(f"l{index}.png")) for index in range(16)}
VAL = {"v0": Pair(Path("v0.png"), Path("lv0.png"))}
SOURCE = Source(CATALOG, TRAIN, VAL)


def data(**changes: object) -> DataParams:
    return read_params(ROOT / "params.yaml").data.model_copy(update={"labeled_fraction": 0.25, **changes})


def split_of(source: Source, params: DataParams, lists: Path = Path()) -> Split:
    return build_split(source, params, lists=lists, seed=0)


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_smaller_fraction_lies_in_a_larger_one(count: int, one: float, other: float, seed: int) -> None:
    pool = [f"image{index}" for index in range(count)]
    small, large = (draw_labeled(pool, fraction=fraction, seed=seed, pool_size=count) for fraction in sorted((one, other)))
    assert set(small) <= set(large)
    assert 1 <= len(small) <= count - 1


def test_cityscapes_eighth_and_quarter_have_the_published_sizes() -> None:
    pool = [f"image{index}" for index in range(2975)]
    assert [len(draw_labeled(pool, fraction=fraction, seed=0, pool_size=2975)) for fraction in (1 / 8, 1 / 4)] == [372, 744]


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_files() -> None:
    pool = list(TRAIN)
    drawn = draw_labeled(pool, fraction=0.5, seed=0, pool_size=16)
    assert draw_labeled(pool[::-1], fraction=0.5, seed=0, pool_size=16) == drawn
    assert draw_labeled(pool, fraction=0.5, seed=1, pool_size=16) != drawn


def test_labeled_unlabeled_and_val_share_no_image() -> None:
    split = split_of(SOURCE, data())
    assert len(split.labeled) == 4
    assert sorted(split.labeled + split.unlabeled) == sorted(TRAIN)
    assert split.val == ["v0"]


def test_images_without_label_files_are_unlabeled_and_count_for_the_fraction() -> None:
    train = {name: Pair(pair.image, pair.labels if name < "t04" else None) for name, pair in TRAIN.items()}
    source = Source(CATALOG, train, VAL)
    assert len(split_of(source, data(labeled_fraction=0.125)).labeled) == 2
    split = split_of(source, data(labeled_fraction=0.9))
    assert split.labeled == ["t00", "t01", "t02", "t03"]
    assert len(split.unlabeled) == 12


def test_a_pool_without_any_label_file_is_refused() -> None:
    bare = {name: Pair(pair.image, None) for name, pair in TRAIN.items()}
    with pytest.raises(ValueError, match="one of them with labels - found 16 and 0"):
        split_of(Source(CATALOG, bare, VAL), data())


def test_a_users_lists_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "labeled.txt").write_text("t03\n\nt01\n")
    (tmp_path / "unlabeled.txt").write_text("t05\n")
    split = split_of(SOURCE, data(labeled_list="labeled.txt", unlabeled_list="unlabeled.txt"), tmp_path)
    assert (split.labeled, split.unlabeled) == (["t01", "t03"], ["t05"])


def test_validation_images_from_the_train_pool_are_neither_labeled_nor_unlabeled(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("t00\nt01\n")
    split = split_of(SOURCE, data(labeled_fraction=0.5, val_list="val.txt"), tmp_path)
    assert split.val == ["t00", "t01"]
    assert sorted(split.labeled + split.unlabeled) == sorted(set(TRAIN) - {"t00", "t01"})


def test_overlapping_lists_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("t03\n")
    with pytest.raises(ValueError, match="both hold t03"):
        split_of(SOURCE, data(labeled_list="list.txt", unlabeled_list="list.txt"), tmp_path)
    with pytest.raises(ValueError, match="labeled and val to be disjoint"):
        split_of(SOURCE, data(labeled_list="list.txt", val_list="list.txt"), tmp_path)


def test_labeling_every_image_leaves_nothing_to_learn_from_and_is_refused(tmp_path: Path) -> None:
    write_ids(tmp_path / "all.txt", TRAIN)
    with pytest.raises(ValueError, match="at least one unlabeled"):
        split_of(SOURCE, data(labeled_list="all.txt"), tmp_path)


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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "image_id\theight\n1\t2\n",
        "garbage",
        "image_id\theight\twidth\timage\timage_sha256\tlabels\tlabels_sha256\na\tx\t1\ti\t\t\t\n",
    ],
)
def test_a_malformed_sample_list_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.tsv").write_text(text)
    with pytest.raises(ValueError, match=r"list\.tsv") as caught:
        read_samples(tmp_path / "list.tsv", labels=False)
    assert "\n" not in str(caught.value)


def test_an_image_id_cannot_leave_its_folder(tmp_path: Path) -> None:
    write_samples(tmp_path / "list.tsv", [Sample("../../evil", 1, 1, Path("a.png"), "")])
    with pytest.raises(ValueError, match="evil"):
        read_samples(tmp_path / "list.tsv", labels=False)
