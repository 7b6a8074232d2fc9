"""A map on disk gives back what was written into it, in any order."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.rasters.blocks import Canvas


def test_rectangles_in_any_order_make_the_map_and_nothing_is_left_on_disk(tmp_path: Path) -> None:
    expected = np.random.default_rng(0).integers(0, 256, (50, 70)).astype(np.uint8)
    with Canvas(tmp_path / "out", (50, 70)) as canvas:
        assert not canvas.read(slice(0, 50), slice(0, 70)).any()
        for columns in (slice(40, 70), slice(0, 40)):
            for rows in (slice(30, 50), slice(0, 7), slice(7, 30)):
                canvas.write(rows, columns, expected[rows, columns])
        assert np.array_equal(canvas.read(slice(0, 50), slice(0, 70)), expected)
        assert np.array_equal(canvas.read(slice(3, 41), slice(11, 12)), expected[3:41, 11:12])
        assert not list((tmp_path / "out").iterdir())


def test_a_full_disk_is_told_with_the_folder_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Canvas(tmp_path, (4, 4)) as canvas:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left") as error:
            canvas.write(slice(0, 4), slice(0, 4), np.zeros((4, 4), np.uint8))
    assert error.value.filename == str(tmp_path)
