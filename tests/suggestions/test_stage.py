"""`suggest` as a user types it, on a round without a network."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from pipeline.files import digest
from pipeline.selection import Selection
from pipeline.suggestions.table import read_suggestions
from stages.suggest import main
from tests.strategies import make_probs
from tests.suggestions.cases import SIZES, select, sure_and_unsure, write_round
from tests.workspace import ROOT, change_params

FILES = ["--prepared", "prepared", "--rounds", "rounds", "--out", "suggestions"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parameters; `write_round` adds the rest."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def suggest(*options: str) -> Result:
    return CliRunner().invoke(main, ["--round", "1", *FILES, *options])


def poles() -> list[np.ndarray]:
    """Class 1 is short of its target; the second image holds most of it, the third some, the first is the least sure."""
    return [sure_and_unsure(0.5, []), sure_and_unsure(0.75, 7 * [1]), sure_and_unsure(0.96, [*5 * [1], 2])]


def test_images_that_likely_hold_what_is_short_come_first(workspace: Path) -> None:
    write_round(workspace, poles(), priors=(0.6, 0.38, 0.02), alpha=1.0)
    done = suggest("--apart", "0")
    assert done.exit_code == 0, done.output
    found, selection = read_suggestions(workspace / "suggestions/1.tsv")
    assert [each.image_id for each in found] == ["image_1", "image_2", "image_0"]
    assert found[0].image == Path("images/image_1.png")
    assert "5 pixels of sky, which is short of 33 % of its target" in found[0].reason
    assert selection == digest(workspace / "rounds/1/selection.json")
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert "1. images/image_1.png - likely holds 5 pixels of sky" in done.stdout
    assert "short of their targets: sky of 33 %" in done.stderr
    assert "20 images were asked for, and all 3 unlabeled ones are ranked" in done.stderr
    assert "the round has no calibrator" in done.stderr


def test_the_count_is_respected_and_all_scores_write_tables_of_one_form(workspace: Path) -> None:
    write_round(workspace, poles(), priors=(0.5, 0.4, 0.1), alpha=0.5)
    for scores, name in (("shortfall", "1"), ("uncertainty", "1-uncertainty"), ("random", "1-random")):
        done = suggest("--count", "2", "--scores", scores)
        assert done.exit_code == 0, done.output
        found, _ = read_suggestions(workspace / f"suggestions/{name}.tsv")
        assert len(found) == 2
        assert scores != "uncertainty" or found[0].image_id == "image_0"


def test_random_suggestions_are_those_of_the_seed(workspace: Path) -> None:
    write_round(workspace, [sure_and_unsure(0.5, [])] * 12)

    def drawn(seed: int) -> list[str]:
        change_params(workspace, {"seed": seed})
        assert suggest("--scores", "random").exit_code == 0
        return [each.image_id for each in read_suggestions(workspace / "suggestions/1-random.tsv")[0]]

    first = drawn(0)
    assert drawn(1) != first
    assert drawn(0) == first


def test_a_class_that_nobody_predicts_is_said_plainly_and_ranks_nothing(workspace: Path) -> None:
    write_round(workspace, [sure_and_unsure(0.75, [2]), sure_and_unsure(0.5, [2])], priors=(0.5, 0.4, 0.1), alpha=0.5)
    done = suggest("--apart", "0")
    assert done.exit_code == 0, done.output
    assert "warning: the teacher predicts sky nowhere, so no image can be ranked for it: look for it by eye" in done.stderr
    found, _ = read_suggestions(workspace / "suggestions/1.tsv")
    assert [each.image_id for each in found] == ["image_1", "image_0"]
    assert not any("sky" in each.reason for each in found)


def test_without_a_short_class_errors_decide_and_a_line_says_so(workspace: Path) -> None:
    write_round(workspace, poles(), priors=(0.98, 0.01, 0.01), alpha=0.1)
    done = suggest("--apart", "0")
    assert "no class is short of its target (alpha 0.1, alpha_max" in done.stderr
    found, _ = read_suggestions(workspace / "suggestions/1.tsv")
    assert [each.image_id for each in found] == ["image_0", "image_1", "image_2"]


def test_any_number_of_workers_writes_the_same_bytes(workspace: Path) -> None:
    rng = np.random.default_rng(3)
    write_round(workspace, [make_probs(rng, size, 3, (0, 1, 2)) for size in SIZES], shard_mib=0.02)
    tables = []
    for workers in (1, 3):
        change_params(workspace, {"runtime.workers": workers})
        assert suggest().exit_code == 0
        tables.append((workspace / "suggestions/1.tsv").read_bytes())
    assert tables[0] == tables[1]


def test_the_order_of_the_store_does_not_matter(workspace: Path) -> None:
    rng = np.random.default_rng(3)
    probs = [make_probs(rng, size, 3, (0, 1, 2)) for size in SIZES]
    names = [f"image_{index}" for index in range(len(probs))]
    tables = []
    for name, order in (("a", list(range(len(probs)))), ("b", list(reversed(range(len(probs)))))):
        write_round(workspace / name, [probs[index] for index in order], image_ids=[names[index] for index in order])
        paths = ["--prepared", f"{name}/prepared", "--rounds", f"{name}/rounds", "--out", f"{name}/out"]
        assert CliRunner().invoke(main, ["--round", "1", *paths]).exit_code == 0
        tables.append(read_suggestions(workspace / name / "out/1.tsv")[0])
    assert tables[0] == tables[1]


def remove_counts(folder: Path) -> None:
    shutil.rmtree(folder / "rounds/1/confidences.zarr/confidence_counts/c")


def other_selection(folder: Path) -> None:
    path = folder / "rounds/1/selection.json"
    chosen = Selection.read(path)
    first, *rest = chosen.predicted_counts
    chosen.model_copy(update={"predicted_counts": (first + 1, *rest)}).write(path)


def other_list(folder: Path) -> None:
    store = write_round(folder / "other", poles()[:2])
    select(store, (0.6, 0.1, 0.3), 0.4)
    shutil.copy(folder / "other/prepared/unlabeled.tsv", folder / "prepared/unlabeled.tsv")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: shutil.rmtree(folder / "rounds/1/confidences.zarr"), "confidences.zarr - "),
        (remove_counts, "confidence_counts - expected a whole confidence store"),
        (lambda folder: (folder / "rounds/1/selection.json").unlink(), "selection.json - expected a selection - found No such"),
        (lambda folder: (folder / "rounds/1/selection.json").write_text("{"), "selection.json - "),
        (other_selection, "pixels by class, as the selection counts - found"),
        (other_list, "expected the 2 images of the unlabeled list - found 3 others - run the stage `infer`"),
        (lambda folder: (folder / "prepared/unlabeled.tsv").unlink(), "unlabeled.tsv - expected a sample list"),
        (lambda folder: (folder / "rounds/1/calibrator.json").unlink(), "calibrator.json - expected a calibrator"),
    ],
)
def test_what_is_missing_or_damaged_is_one_line_and_leaves_no_table(
    workspace: Path, damage: Callable[[Path], object], says: str
) -> None:
    write_round(workspace, poles())
    damage(workspace)
    done = suggest()
    assert done.exit_code == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert says in lines[0]
    assert not (workspace / "suggestions").exists()


def test_an_unknown_round_is_one_line(workspace: Path) -> None:
    write_round(workspace, poles())
    done = CliRunner().invoke(main, ["--round", "7", *FILES])
    assert done.exit_code == 1
    assert "params.yaml - rounds - expected one of" in done.stderr
