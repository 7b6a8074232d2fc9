"""What every method makes of fixed counts, held against a file: a change that means to change nothing changes no pixel.

`python -m tests.labeling.test_golden` writes the file anew, for a change that means to.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.labeling.solve import METHODS
from pipeline.selection import Selection
from tests.labeling.cases import solve

GOLDEN = Path(__file__).parents[1] / "golden" / "selection.json"
PRIORS = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
VARIANTS: dict[str, dict[str, Any]] = {
    **{method: {} for method in METHODS},
    "st_fixed": {"st_confidence": 0.75},
    "cbst_equal_pixels": {"equal_pixels": True},
    "dars_ties": {"thin": "ties"},
    "dars_shortfall": {"alpha": 0.9},
}


def selection(name: str) -> Selection:
    """Solve for counts in which confidences pile up at 1, a class is rare and another is never predicted."""
    rng = np.random.default_rng(7)
    counts = rng.poisson(3.0, (5, 4438)).astype(np.int64)
    counts[:, -1] = (90_000, 12_000, 700, 30, 0)
    counts[3] //= 9
    counts[4] = 0
    variant = {"alpha": 0.4, **VARIANTS[name]}
    return solve(name.split("_", maxsplit=1)[0], counts, PRIORS, **variant)


def as_json(solved: Selection) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(solved.model_dump_json())
    return tree


def assert_equal(found: Any, expected: Any, key: str) -> None:
    """Ints, texts and nulls exactly, floats to 1e-12 of their value."""
    assert type(found) is type(expected), key
    if isinstance(expected, list | dict):
        assert len(found) == len(expected), key
        for place in expected if isinstance(expected, dict) else range(len(expected)):
            assert_equal(found[place], expected[place], f"{key}.{place}")
    else:
        assert found == (pytest.approx(expected, rel=1e-12, abs=0) if isinstance(expected, float) else expected), key


@pytest.mark.parametrize("name", VARIANTS)
def test_fixed_counts_give_the_selection_on_record(name: str) -> None:
    assert_equal(as_json(selection(name)), json.loads(GOLDEN.read_text())[name], name)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps({name: as_json(selection(name)) for name in VARIANTS}, indent=1) + "\n")
