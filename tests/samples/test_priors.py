import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.target_priors import target_priors
from pipeline.samples.catalog import Catalog
from pipeline.samples.priors import ClassPriors, read_known_priors

NAMES = ("road", "pole")
CATALOG = Catalog(name="toy", class_names=NAMES, colors=((0, 0, 0), (1, 1, 1)), train_ids={0: 0, 1: 1, 255: 255})
LABELED, VAL = np.array([30, 10]), np.array([1, 1])


def test_priors_and_labeled_shares_read_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "class_priors.json"
    ClassPriors.build(NAMES, target=np.array([0.1, 0.9]), labeled=np.array([1, 2]), origin="target.json").write(path)
    priors = ClassPriors.read(path)
    assert priors.target(NAMES).tolist() == [0.1, 0.9]
    assert priors.labeled(NAMES).tolist() == [1 / 3, 2 / 3]
    with pytest.raises(ValueError, match="expected those of pole, road - found other classes"):
        priors.target(NAMES[::-1])


def target(origin: str, tmp_path: Path, data_set: DataSet | None = None) -> list[float]:
    empty = data_set or DataSet(CATALOG, {}, {})
    shares: list[float] = target_priors(origin, empty, labeled=LABELED, val=VAL, lists=tmp_path, workers=1).tolist()
    return shares


@pytest.mark.parametrize(("origin", "shares"), [("labeled", [0.75, 0.25]), ("source", [0.75, 0.25]), ("val", [0.5, 0.5])])
def test_priors_of_the_labeled_and_of_the_validation_set(origin: str, shares: list[float], tmp_path: Path) -> None:
    assert target(origin, tmp_path) == shares


@pytest.mark.parametrize("tree", [{"pole": 0.2, "road": 0.6}, {"class_priors": {"road": 300, "pole": 100}}])
def test_known_priors_may_be_shares_or_counts_in_any_order(tree: object, tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text(json.dumps(tree))
    assert target("known.json", tmp_path) == pytest.approx([0.75, 0.25], abs=1e-15)


def test_the_priors_of_another_experiment_can_be_given_as_they_are(tmp_path: Path) -> None:
    other = ClassPriors.build(NAMES, target=np.array([0.4, 0.6]), labeled=LABELED, origin="labeled")
    other.write(tmp_path / "other.json")
    assert target("other.json", tmp_path) == [0.4, 0.6]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "expected JSON"),
        ("[1, 2]", "expected a share for each of road, pole - found list"),
        ('{"road": 1}', "found road"),
        ('{"road": 1, "pole": 1, "car": 1}', "found road, pole, car"),
        ('{"road": 1, "pole": -1}', "pole - expected a share or a pixel count - found -1"),
        ('{"road": 1, "pole": "1"}', "pole - expected a share or a pixel count - found '1'"),
        ('{"road": 1, "pole": true}', "found True"),
        ('{"road": 1, "pole": NaN}', "found nan"),
        ('{"road": 1, "pole": Infinity}', "found inf"),
        ('{"road": 1, "pole": {"road": 1}}', "pole - expected a share or a pixel count"),
        ('{"road": 0, "pole": 0}', "found only zeros"),
        ('{"road": 1, "pole": 1, "road": 2}', "found the key 'road' twice"),
        ("[" * 100_000, "expected JSON"),
    ],
)
def test_wrong_priors_are_one_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text(text)
    with pytest.raises(ValueError, match=r"known\.json") as caught:
        read_known_priors(tmp_path / "known.json", NAMES)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ['{"road": 1e308, "pole": 1e308}', f'{{"road": {10**400}, "pole": {10**400}}}'])
def test_known_priors_may_be_numbers_that_do_not_add_up_in_floating_point(text: str, tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text(text)
    assert read_known_priors(tmp_path / "known.json", NAMES).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "shares",
    [
        '{"road": 0.25, "pole": 0.25}', '{"road": 0.0, "pole": 0.0}', '{"road": 1.5, "pole": -0.5}', '{"road": NaN, "pole": 1.0}',
        '{"road": Infinity, "pole": 0.0}', '{"road": null, "pole": 1.0}', '{"road": "0.5", "pole": 0.5}',
        '{"road": true, "pole": 0.0}', '{"road": {"pole": 1.0}}', '{"pole": 0.5, "road": 0.5}', "[0.5, 0.5]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["class_priors", "labeled_shares"])
def test_shares_that_are_no_distribution_are_one_line_that_names_the_file(key: str, shares: str, tmp_path: Path) -> None:
    path = tmp_path / "class_priors.json"
    priors = ClassPriors.build(NAMES, target=np.array([0.1, 0.9]), labeled=LABELED, origin="labeled")
    tree = json.loads(priors.model_dump_json())
    path.write_text(json.dumps({**tree, key: "SHARES"}).replace('"SHARES"', shares))
    with pytest.raises(ValueError, match=r"class_priors\.json - .* - delete it and run the stage `prepare`") as caught:
        ClassPriors.read(path)
    assert "\n" not in str(caught.value)


def test_priors_are_counted_in_the_label_files_of_a_list(tmp_path: Path) -> None:
    train = {}
    for name, row in (("a", [0, 1, 1, 255]), ("b", [1, 1, 1, 1]), ("c", [0, 0, 0, 0])):
        Image.fromarray(np.zeros((1, 4, 3), np.uint8)).save(tmp_path / f"{name}.png")
        Image.fromarray(np.array([row], np.uint8)).save(tmp_path / f"{name}_labels.png")
        train[name] = Pair(tmp_path / f"{name}.png", tmp_path / f"{name}_labels.png")
    (tmp_path / "some.txt").write_text("a\nb\n")
    assert target("some.txt", tmp_path, DataSet(CATALOG, train, {})) == [1 / 7, 6 / 7]
    train["b"] = Pair(tmp_path / "b.png", None)
    with pytest.raises(ValueError, match=r"b\.png - expected a label file"):
        target("some.txt", tmp_path, DataSet(CATALOG, train, {}))
    with pytest.raises(ValueError, match="nowhere"):
        target("nowhere.txt", tmp_path)
