"""Every kind of artifact that a stage reads, damaged: an error in one line that names the file, or the very same value."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.curve import CurveRow, read_curve, write_curve
from pipeline.samples.catalog import Catalog
from pipeline.samples.images import read_label_png, write_label_png
from pipeline.samples.priors import ClassPriors
from pipeline.samples.sample_lists import Sample, read_samples, write_samples
from pipeline.selection import Selection
from pipeline.softmax_store.reader import SoftmaxStore
from pipeline.suggestions.table import Suggestion, read_suggestions, write_suggestions
from tests.labeling.test_golden import VARIANTS
from tests.labeling.test_golden import selection as golden_selection
from tests.softmax_store.cases import SIZES, open_writer, street_probs, write_pending

NAMES = ("road", "sky", "car")
COLORS = ((128, 64, 128), (70, 130, 180), (0, 0, 142))
LABELS = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), (40, 60))
CATALOG = Catalog(name="toy", class_names=NAMES, colors=COLORS, train_ids={0: 0, 1: 1, 2: 2, 255: 255})
SAMPLES = [
    Sample(f"image {index}", 40, 60, Path(f"{index}.png"), "ab" * 32, Path(f"l{index}.png"), "cd" * 32) for index in range(5)
]
PRIORS = ClassPriors.build(NAMES, target=np.array([0.5, 0.3, 0.2]), labeled=np.array([50, 30, 20]), origin="labeled")
SUGGESTIONS = [Suggestion(f"image {index}", Path(f"{index}.png"), 0.5 / index, "likely holds 9 pixels") for index in range(1, 6)]
CURVE = [CurveRow(step, 1 / step, 2 / step, 0.1) for step in range(1, 9)]

FILES: dict[str, tuple[Callable[[Path], object], Callable[[Path], Any]]] = {
    "catalog.json": (CATALOG.write, Catalog.read),
    "class_priors.json": (PRIORS.write, ClassPriors.read),
    "labeled.tsv": (lambda path: write_samples(path, SAMPLES), lambda path: read_samples(path, labels=True)),
    "truth.tsv": (lambda path: write_samples(path, []), lambda path: read_samples(path, labels=True, may_be_empty=True)),
    "suggestions.tsv": (lambda path: write_suggestions(path, SUGGESTIONS, selection="ef" * 32), read_suggestions),
    "curve.tsv": (lambda path: write_curve(path, CURVE), read_curve),
    "pseudo label.png": (
        lambda path: write_label_png(path, LABELS, COLORS),
        lambda path: read_label_png(path, num_classes=3, size=LABELS.shape[:2]).tolist(),
    ),
}
"""How each is written and read; checkpoints, resume points and chunks have tests of their own."""


def damages(content: bytes, rng: np.random.Generator, *, flips: int) -> Iterator[bytes]:
    for place in rng.integers(0, len(content), flips).tolist():
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(0, 8))
        yield bytes(changed)
    yield from (b"", content[: len(content) // 2], content[:-1], bytes(len(content)), content + b"\n", content[1:])
    # The middle, where values are, by other digits: still well-formed.
    digits = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    for place in rng.choice(digits, 20).tolist() if digits else []:
        yield content[:place] + bytes([(content[place] - 48 + 1) % 10 + 48]) + content[place + 1 :]


def problem_of(read: Callable[[], Any], path: Path, expected: object) -> str:
    """Return the error in one line; "" where the value is the same."""
    try:
        found = read()
    except ValueError as error:
        problem = str(error)
    else:
        problem = ""
        assert found == expected
    assert not problem or str(path) in problem
    assert "\n" not in problem
    return problem


@pytest.mark.parametrize("name", FILES)
def test_damage_is_told_by_the_name_of_the_file_or_changes_nothing(name: str, tmp_path: Path) -> None:
    write, read = FILES[name]
    path = tmp_path / name
    write(path)
    content, expected = path.read_bytes(), read(path)
    problems = 0
    for damaged in damages(content, np.random.default_rng(7), flips=200):
        path.write_bytes(damaged)
        problems += bool(problem_of(lambda: read(path), path, expected))
    assert problems > 100
    path.unlink()
    assert problem_of(lambda: read(path), path, expected)


def test_the_metadata_of_a_store_cannot_change_unseen(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    write_pending(writer, street_probs())
    rng = np.random.default_rng(7)

    def read() -> list[Any]:
        store = SoftmaxStore(writer.path)
        names = (store.image_ids, store.class_names, store.precision, store.sizes.tolist())
        return [*names, *(store.softmax(index).tolist() for index in range(len(SIZES)))]

    expected = read()
    for file in sorted(writer.path.rglob("zarr.json")):
        content = file.read_bytes()
        for damaged in damages(content, rng, flips=25):
            file.write_bytes(damaged)
            problem_of(read, writer.path, expected)
        file.unlink()
        assert problem_of(read, writer.path, expected)
        file.write_bytes(content)
    shutil.rmtree(writer.path)


def test_a_selection_with_another_number_is_no_selection(tmp_path: Path) -> None:
    path = tmp_path / "selection.json"
    selection = golden_selection(next(iter(VARIANTS)))
    selection.write(path)
    path.write_text(path.read_text().replace(f'"labeling_ratio": {selection.labeling_ratio}', '"labeling_ratio": 0.125'))
    with pytest.raises(ValueError, match=r"selection.json - expected the content that its sha256 is of .* `solve_thresholds`"):
        Selection.read(path)
