"""A training fits its loader into /dev/shm, and says in a line where that has run out; it never waits for what cannot come."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.shared_memory import PREFETCH, fit_loader, free_shared_memory
from tests.workspace import TINY, command_of, environment, make_workspace, run_stage, said

MIB = 2**20
SMALL = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"'


def can_mount() -> bool:
    try:
        done = subprocess.run(["unshare", "-m", "sh", "-c", SMALL, "sh", "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


@pytest.mark.parametrize(
    ("workers", "free", "expected"),
    [
        (2, None, (2, PREFETCH)),  # a system without /dev/shm
        (0, 0, (0, 0)),
        (1, 64 * MIB, (0, 0)),  # Docker's default, the paper's 16 crops of 713x713: 155 MiB a batch
        (4, 500 * MIB, (2, 1)),  # two under way, one in use
        (2, 1000 * MIB, (2, 2)),
        (2, 24_000 * MIB, (2, PREFETCH)),
    ],
)
def test_the_loader_has_as_many_batches_under_way_as_fit(workers: int, free: int | None, expected: tuple[int, int]) -> None:
    fitting = fit_loader(workers, crops=16, crop_pixels=713 * 713, free=free)
    assert (fitting.workers, fitting.prefetch) == expected
    assert bool(fitting.remark) == (fitting.workers < workers)
    assert "--shm-size" in fitting.remark or not fitting.remark


@given(st.integers(0, 64), st.integers(1, 64), st.integers(1, 10**6), st.integers(0, 10**11))
def test_what_is_under_way_and_in_use_never_takes_more_than_there_is(workers: int, crops: int, pixels: int, free: int) -> None:
    fitting = fit_loader(workers, crops=crops, crop_pixels=pixels, free=free)
    assert fitting.workers <= workers
    under_way = fitting.workers * fitting.prefetch
    assert not under_way or (under_way + 1) * crops * pixels * 20 <= free


def test_what_is_free_is_known_on_linux() -> None:
    free = free_shared_memory()
    assert (free is None) == (not Path("/dev/shm").exists())  # noqa: S108
    assert free is None or free >= 0


@pytest.mark.skipif(not can_mount(), reason="may not mount a file system of its own")
def test_a_training_reads_by_itself_where_shared_memory_is_small_and_one_that_runs_out_of_it_is_one_line(tmp_path: Path) -> None:
    folder = make_workspace(
        tmp_path / "clone", {**TINY, "runtime.loader_workers": 1, "augmentation.crop_width": 128, "pretrain.steps": 2}
    )
    command = command_of("pretrain")
    assert run_stage(folder, "prepare", "--lists", "data/lists", "--out", "data/prepared").returncode == 0

    def train(program: str) -> subprocess.CompletedProcess[str]:
        words = ["unshare", "-m", "sh", "-c", SMALL, "sh", sys.executable, *program.split(), *command[1:]]
        return subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=120)

    # As if others had taken it after the look.
    (folder / "late.py").write_text(
        "import pipeline.training.batches as batches\nbatches.free_shared_memory = lambda: None\n"
        "from stages.pretrain import main\nmain()\n"
    )
    done = train("late.py")
    assert done.returncode == 1, done.stderr
    [line] = said(done.stderr)
    assert line.startswith("Error: shared memory - "), done.stderr
    assert "--shm-size" in line
    assert "runtime.loader_workers to 0" in line
    done = train("-m stages.pretrain")
    assert done.returncode == 0, done.stderr
    assert "runtime.loader_workers is 0 here, not 1" in done.stderr
