"""What cannot be exported is refused before anything is read or computed."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pipeline.export import request
from pipeline.export.request import Shape, plan_export

MODEL = Path("model.safetensors")


def planned(out: Path = Path("student.onnx"), *, batch: str = "1", height: int = 4, width: int = 5, model: Path = MODEL) -> Shape:
    return plan_export(out, model=model, batch=batch, height=height, width=width)


def test_a_batch_is_a_number_or_dynamic() -> None:
    assert planned() == Shape(1, 4, 5)
    assert planned(batch="16") == Shape(16, 4, 5)
    assert planned(batch="dynamic") == Shape(None, 4, 5)


@pytest.mark.parametrize("batch", ["0", "-1", "", "two", "1.5", "1025", "9" * 5000, "²", "٣", " 1", "Dynamic"])
def test_anything_else_is_no_batch(batch: str) -> None:
    with pytest.raises(ValueError, match=r"^--batch - expected dynamic or 1 to 1024 images - found ") as error:
        planned(batch=batch)
    assert len(str(error.value)) < 130


@pytest.mark.parametrize("side", [0, -3, 16_385])
def test_a_side_that_no_image_has(side: int) -> None:
    sizes: dict[str, dict[str, Any]] = {"--height": {"height": side}, "--width": {"width": side}}
    for option, size in sizes.items():
        with pytest.raises(ValueError, match=rf"^{option} - expected 1 to 16384 pixels - found {side} - "):
            planned(**size)


def test_a_place_that_is_none_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "same.onnx").touch()
    for out, found in (
        (tmp_path / "folder.onnx", "found the folder"),
        (tmp_path / "student", "ends in .onnx"),
        (tmp_path / "same.onnx", "expected another file than the checkpoint"),
    ):
        with pytest.raises(ValueError, match=found) as error:
            planned(out, model=tmp_path / "same.onnx")
        assert str(error.value).startswith("--out - ")


def test_a_missing_package_is_named_with_how_to_bring_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "find_spec", lambda name: None if name == "onnxscript" else find_spec(name))
    with pytest.raises(ValueError, match=r"found no onnxscript - run `pip install --requirement requirements\.txt`"):
        planned()
