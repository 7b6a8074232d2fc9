import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.selection import Selection
from tests.labeling.cases import solve, solved
from tests.strategies import NUM_VALUES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    counts = np.zeros((3, NUM_VALUES), np.int64)
    counts[:2, 0x3801:0x3811] = 7
    path = tmp_path / "round" / "selection.json"
    solve("dars", counts, np.array([0.5, 0.3, 0.2]), 0.3).write(path)
    return path


@pytest.mark.parametrize("method", ["st", "dars", "none"])
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_selection_read_back_is_the_same_to_the_last_bit(method: str, data: st.DataObject) -> None:
    _, selection, _ = data.draw(solved(method))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "selection.json"
        selection.write(path)
        assert Selection.read(path) == selection


def test_the_file_says_what_the_design_promises(path: Path) -> None:
    tree = json.loads(path.read_text())
    promised = (
        "method class_names class_priors class_thresholds sampling_rates targets realized_counts shortfalls labeling_ratio"
        " coverage alpha_max kl"
    )
    assert set(promised.split()) <= set(tree)
    assert tree["kl"]["value"] == "inf"
    assert tree["kl"]["smoothed"] > 0


def test_equal_selections_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    Selection.read(path).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda tree: tree.pop(name)


def put(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda tree: tree.update({name: value})


@pytest.mark.parametrize(
    "change",
    [
        *(drop(name) for name, field in Selection.model_fields.items() if field.is_required()),
        put("class_thresholds", "high"),
        put("class_thresholds", [0.5, "high", None]),
        put("class_thresholds", [0.5]),
        put("draws", {"road": 3}),
        put("draws", [1, 2]),
        put("realized_counts", None),
        put("draws", [-1, 0, 0]),
        put("realized_counts", [10**9, 0, 0]),
        put("class_priors", [0.5, 0.3, 0.1]),
        put("class_priors", [1.5, -0.3, -0.2]),
        put("class_thresholds", [-0.5, 0.5, None]),
        put("num_pixels", 0),
    ],
    ids=[
        *(f"without {name}" for name, field in Selection.model_fields.items() if field.is_required()),
        "a text for thresholds",
        "a text among thresholds",
        "too few thresholds",
        "draws by name",
        "too few draws",
        "null for counts",
        "a negative draw",
        "more labels than pixels",
        "priors that add up to less than 1",
        "priors below 0",
        "a threshold below 0",
        "no pixel",
    ],
)
def test_what_is_no_selection_is_one_line_of_advice(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=r"run the stage `solve_thresholds`") as error:
        Selection.read(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"null", b'"text"', b"\xff\xfe", b"{\n\n}\n\n x"])
def test_a_damaged_file_is_one_line_of_advice(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"run the stage `solve_thresholds`") as error:
        Selection.read(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_one_line_of_advice(tmp_path: Path) -> None:
    for missing in (tmp_path / "gone.json", tmp_path):
        with pytest.raises(ValueError, match=r"expected a selection - .* - run the stage") as error:
            Selection.read(missing)
        assert "\n" not in str(error.value)
