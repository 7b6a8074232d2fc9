from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.splits import Split, build_split, draw_labeled
from pipeline.params import DataParams, read_params
from pipeline.samples.catalog import Catalog
from pipeline.samples.sample_lists import Sample, read_ids, read_samples, write_ids, write_samples
from tests.workspace import ROOT

CATALOG = Catalog(name="toy", class_names=("a",), colors=((0, 0, 0),), train_ids={0: 0})
TRAIN = {f"t{index:02d}": Pair(Path(f"t{index}.png"), Path(f"l{index}.png")) for index in range(16)}
VAL = {"v0": Pair(Path("v0.png"), Path("lv0.png"))}
DATA_SET = DataSet(CATALOG, TRAIN, VAL)


def data(**changes: object) -> DataParams:
    return read_params(ROOT / "params.yaml").data.model_copy(update={"labeled_fraction": 0.25, **changes})


def split_of(data_set: DataSet, params: DataParams, lists: Path = Path(), source: DataSet | None = None) -> Split:
    return build_split(data_set, source or data_set, params, lists=lists, seed=0)


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_smaller_fraction_lies_in_a_larger_one(count: int, one: float, other: float, seed: int) -> None:
    pool = {f"image{index}": Pair(Path("i.png"), Path("l.png")) for index in range(count)}
    small, large = (draw_labeled(pool, fraction=fraction, seed=seed) for fraction in sorted((one, other)))
    assert set(small) <= set(large)
    assert 1 <= len(small) <= count - 1


def test_cityscapes_eighth_and_quarter_have_the_published_sizes() -> None:
    pool = {f"image{index}": Pair(Path("i.png"), Path("l.png")) for index in range(2975)}
    assert [len(draw_labeled(pool, fraction=fraction, seed=0)) for fraction in (1 / 8, 1 / 4, 1.0)] == [372, 744, 2975]


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_files() -> None:
    drawn = draw_labeled(TRAIN, fraction=0.5, seed=0)
    assert draw_labeled(dict(reversed(TRAIN.items())), fraction=0.5, seed=0) == drawn
    assert draw_labeled(TRAIN, fraction=0.5, seed=1) != drawn


def test_labeled_unlabeled_and_val_share_no_image() -> None:
    split = split_of(DATA_SET, data())
    assert len(split.labeled) == 4
    assert sorted(split.labeled + split.unlabeled) == sorted(TRAIN)
    assert split.val == ["v0"]


def test_images_without_label_files_are_unlabeled_and_count_for_the_fraction() -> None:
    train = {name: Pair(pair.image, pair.labels if name < "t04" else None) for name, pair in TRAIN.items()}
    data_set = DataSet(CATALOG, train, VAL)
    assert len(split_of(data_set, data(labeled_fraction=0.125)).labeled) == 2
    split = split_of(data_set, data(labeled_fraction=1.0))
    assert split.labeled == ["t00", "t01", "t02", "t03"]
    assert len(split.unlabeled) == 12


def test_the_draw_stays_when_images_that_were_not_drawn_lose_their_label_files() -> None:
    drawn = split_of(DATA_SET, data()).labeled
    for spared in (drawn, [*drawn, "t00", "t15"]):
        train = {name: Pair(pair.image, pair.labels if name in spared else None) for name, pair in TRAIN.items()}
        assert split_of(DataSet(CATALOG, train, VAL), data()).labeled == drawn


def test_fewer_label_files_than_the_fraction_asks_for_are_an_error_that_names_one() -> None:
    train = {name: Pair(pair.image, pair.labels if name < "t04" else None) for name, pair in TRAIN.items()}
    with pytest.raises(ValueError, match=r"label files for 14 of 16 train images - found 4, none for t4\.png"):
        split_of(DataSet(CATALOG, train, VAL), data(labeled_fraction=0.9))
    bare = {name: Pair(pair.image, None) for name, pair in TRAIN.items()}
    for fraction in (0.25, 1.0):
        with pytest.raises(ValueError, match=r"of 16 train images - found 0"):
            split_of(DataSet(CATALOG, bare, VAL), data(labeled_fraction=fraction))


def test_the_data_sets_own_labeled_set_is_taken_where_no_fraction_is_set() -> None:
    data_set = DataSet(CATALOG, TRAIN, VAL, labeled=frozenset({"t02", "t07"}))
    split = split_of(data_set, data(labeled_fraction=None))
    assert split.labeled == ["t02", "t07"]
    assert len(split.unlabeled) == 14
    with pytest.raises(ValueError, match="toy defines no labeled set"):
        split_of(DATA_SET, data(labeled_fraction=None))


def test_extra_images_are_only_ever_unlabeled_and_do_not_count_for_the_fraction() -> None:
    extra = {f"x{index}": Pair(Path(f"x{index}.png"), None) for index in range(30)}
    split = split_of(DataSet(CATALOG, TRAIN, VAL, extra), data(labeled_fraction=0.25))
    assert split.labeled == split_of(DATA_SET, data(labeled_fraction=0.25)).labeled
    assert len(split.unlabeled) == 12 + 30
    everything = split_of(DataSet(CATALOG, TRAIN, VAL, extra), data(labeled_fraction=1.0))
    assert everything.labeled == sorted(TRAIN)
    assert everything.unlabeled == sorted(extra)


def test_a_smaller_number_of_unlabeled_images_lies_in_a_larger_one() -> None:
    small, large = (split_of(DATA_SET, data(unlabeled_count=count)).unlabeled for count in (3, 9))
    assert (len(small), len(large)) == (3, 9)
    assert set(small) < set(large)
    with pytest.raises(ValueError, match="at most the 12 unlabeled images that there are - found 13"):
        split_of(DATA_SET, data(unlabeled_count=13))


def test_a_validation_set_is_drawn_where_the_data_set_has_none() -> None:
    train = {name: Pair(pair.image, pair.labels if name < "t10" else None) for name, pair in TRAIN.items()}
    split = split_of(DataSet(CATALOG, train, {}), data(labeled_fraction=1.0, val_fraction=0.2))
    assert len(split.val) == 2
    assert not set(split.val) & set(split.labeled + split.unlabeled)
    assert len(split.labeled) == 8
    assert all(train[name].labels for name in split.val)
    alone = {"t00": TRAIN["t00"], "t15": Pair(Path("t15.png"), None)}
    with pytest.raises(ValueError, match=r"data.val_list - expected two images with label files at least"):
        split_of(DataSet(CATALOG, alone, {}), data(labeled_fraction=1.0))


def test_held_out_images_are_labeled_ones_that_nothing_else_uses() -> None:
    without = split_of(DATA_SET, data(labeled_fraction=0.5))
    assert without.holdout == []
    split = split_of(DATA_SET, data(labeled_fraction=0.5, holdout_fraction=0.25))
    assert len(split.holdout) == 2
    assert sorted(split.labeled + split.holdout) == without.labeled
    assert (split.unlabeled, split.val) == (without.unlabeled, without.val)
    assert len(split_of(DATA_SET, data(labeled_fraction=0.5, holdout_fraction=0.01)).holdout) == 1
    assert len(split_of(DATA_SET, data(labeled_fraction=0.5, holdout_fraction=0.99)).labeled) == 1
    with pytest.raises(ValueError, match="expected two labeled images at least"):
        split_of(DATA_SET, data(labeled_fraction=0.01, holdout_fraction=0.5))


def test_the_labeled_images_of_domain_adaptation_come_from_the_source() -> None:
    # Image ids of two data sets may be the same by chance: they are other images all the same.
    source = DataSet(CATALOG, {name: Pair(Path(f"s/{name}.png"), Path(f"s/{name}.png")) for name in ("t00", "t01", "g0")}, {})
    split = split_of(DATA_SET, data(labeled_fraction=1.0), source=source)
    assert split.labeled == ["g0", "t00", "t01"]
    assert split.unlabeled == sorted(TRAIN)
    assert split.val == ["v0"]


def test_a_users_lists_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "labeled.txt").write_text("t03\n\nt01\n")
    (tmp_path / "unlabeled.txt").write_text("t05\n")
    split = split_of(DATA_SET, data(labeled_list="labeled.txt", unlabeled_list="unlabeled.txt"), tmp_path)
    assert (split.labeled, split.unlabeled) == (["t01", "t03"], ["t05"])


def test_validation_images_from_the_train_pool_are_neither_labeled_nor_unlabeled(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("t00\nt01\n")
    split = split_of(DATA_SET, data(labeled_fraction=0.5, val_list="val.txt"), tmp_path)
    assert split.val == ["t00", "t01"]
    assert sorted(split.labeled + split.unlabeled) == sorted(set(TRAIN) - {"t00", "t01"})


def test_overlapping_lists_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("t03\n")
    with pytest.raises(ValueError, match="both hold t03"):
        split_of(DATA_SET, data(labeled_list="list.txt", unlabeled_list="list.txt"), tmp_path)
    with pytest.raises(ValueError, match="labeled and val to be disjoint"):
        split_of(DATA_SET, data(labeled_list="list.txt", val_list="list.txt"), tmp_path)


def test_labeling_every_image_leaves_none_unlabeled(tmp_path: Path) -> None:
    write_ids(tmp_path / "all.txt", TRAIN)
    assert split_of(DATA_SET, data(labeled_list="all.txt"), tmp_path).unlabeled == []
    assert split_of(DATA_SET, data(labeled_fraction=1.0)).unlabeled == []


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
