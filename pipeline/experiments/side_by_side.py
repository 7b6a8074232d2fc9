"""Several experiments at once: each a `dvc exp run` of its own, started one after another, no teacher trained twice."""

import re
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_UNDER_WAY = re.compile(r"(Running stage|Stage) '")
"""The first line of an experiment that has its workspace: from here on it shares nothing with others but the cache."""
_HAS_TEACHER = re.compile(r"(Running stage|Stage) '(infer@|summarize|report)")
"""A line that comes behind the training of round 0, whose result others then take from the cache."""
_BUSY = re.compile(r"[Uu]nable to acquire lock|is busy")
"""What DVC says where two of it meet in its own bookkeeping."""
_TRIES = 3


@dataclass(frozen=True)
class Job:
    """One experiment to run.

    Attributes:
        name: stands before each line that it says.
        command: words.
        teacher: what its round 0 depends on; equal for experiments that share it.
    """

    name: str
    command: Sequence[str]
    teacher: str


class _Board:
    """What the threads share: what waits, which teachers are in training, what runs, what failed."""

    def __init__(self, jobs: Sequence[Job], say: Callable[[str], None]) -> None:
        self._say = say
        self._waiting = list(jobs)
        self._teachers: set[str] = set()
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._changed = threading.Condition()
        self.start = threading.Lock()
        self.failed: list[str] = []

    def take(self) -> Job | None:
        """Wait for a job whose teacher nobody trains, and take it; None where none is left."""
        with self._changed:
            while self._waiting:
                for job in self._waiting:
                    if job.teacher not in self._teachers:
                        self._waiting.remove(job)
                        self._teachers.add(job.teacher)
                        return job
                self._changed.wait()
        return None

    def release_teacher(self, job: Job) -> None:
        """Let others of the same teacher begin."""
        with self._changed:
            self._teachers.discard(job.teacher)
            self._changed.notify_all()

    def begin(self, job: Job) -> subprocess.Popen[str]:
        """Start a job's process."""
        process = subprocess.Popen(job.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        with self._changed:
            self._running[job.name] = process
        return process

    def end(self, job: Job, code: int) -> None:
        """Note how a job ended; after a failure nothing else begins."""
        with self._changed:
            self._running.pop(job.name, None)
            if code:
                self.failed.append(job.name)
                self._waiting.clear()
        self.release_teacher(job)

    def interrupt(self) -> None:
        """Let nothing begin any more, and interrupt what runs."""
        with self._changed:
            self._waiting.clear()
            for process in self._running.values():
                process.send_signal(signal.SIGINT)
            self._changed.notify_all()

    def tell(self, line: str) -> None:
        """Say a line; no two threads speak at once."""
        with self._changed:
            self._say(line)


def run_side_by_side(jobs: Sequence[Job], *, most: int, say: Callable[[str], None]) -> None:
    """Run jobs, in order as far as they need not wait, at most `most` at once.

    `dvc exp run` writes the parameters of an experiment into params.yaml for a moment, so only one of them starts at a time. Of
    experiments that share a teacher the first trains it alone. After a failure none is started any more; those under way end.

    Args:
        jobs: with different names.
        most: processes of DVC.
        say: is given each line of each job, from any thread, one at a time.

    Raises:
        ValueError: a job failed; names all that did.
    """
    board = _Board(jobs, say)
    threads = [threading.Thread(target=_work, args=(board,)) for _ in range(most)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:  # Ctrl-C
        board.interrupt()
        for thread in threads:
            thread.join()
        raise
    if board.failed:
        raise ValueError(f"{', '.join(board.failed)} - expected dvc to succeed - see above, then run this again")


def _work(board: _Board) -> None:
    while (job := board.take()) is not None:
        code = 1
        try:
            for _ in range(_TRIES):
                code, busy = _run(job, board)
                if not code or not busy:
                    break
        finally:
            board.end(job, code)


def _run(job: Job, board: _Board) -> tuple[int, bool]:
    """Run a job to its end; return its exit code and whether it met another DVC."""
    board.start.acquire()
    starting, busy = True, False
    try:
        board.tell(f"running {job.name}")
        with board.begin(job) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip():
                    board.tell(f"{job.name} - {line.rstrip()}")
                busy = busy or bool(_BUSY.search(line))
                if starting and _UNDER_WAY.match(line):
                    board.start.release()
                    starting = False
                if _HAS_TEACHER.match(line):
                    board.release_teacher(job)
        return process.returncode, busy
    finally:
        if starting:
            board.start.release()
