"""Partial work of one process; several of them are in tests/stages/test_processes.py, kills in tests/stages/test_resume.py."""

from pathlib import Path

import pytest

from pipeline.machine.work import open_work
from pipeline.params import RuntimeParams, read_params
from tests.workspace import ROOT


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RuntimeParams:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return read_params(ROOT / "params.yaml").runtime


def test_partial_work_is_there_again_after_an_error_and_gone_after_success(runtime: RuntimeParams) -> None:
    found = []
    for error in (True, False, False):
        try:
            with open_work(runtime, outs=[], parameters={}, inputs=[], fresh=False, on_wait=print) as work:
                assert (work.group.rank, work.group.size, work.finished) == (0, 1, False)
                found.append(sorted(file.name for file in work.folder.iterdir()))
                (work.folder / "shard").touch()
                if error:
                    raise KeyboardInterrupt  # noqa: TRY301 - the work is interrupted
        except KeyboardInterrupt:
            pass
    assert found == [[], ["shard"], []]
