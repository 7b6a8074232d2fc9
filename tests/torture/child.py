"""Stages as processes that can be killed: forked from one whose imports are done, or started as a user starts them.

A fork runs the same command without the seconds that imports take, so a thousand kills take minutes. What it does not show (kills
in the imports, DVC, several processes) real processes do.
"""

import importlib
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.machine.lifetime import begin_process
from tests.workspace import environment, said

BOUND = 120.0
"""Seconds after which a stage of the tiny experiment hangs; it takes one or two, on a busy machine ten."""

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code, negative the signal that ended it; None where it hung and was killed.
        text: what it said.
    """

    code: int | None
    text: str

    def describe(self) -> str:
        """Return in one word what an error looked like: `one line` is how it must look."""
        if self.code is None:
            return "hang"
        if shows_traceback(self.text):
            return "traceback"
        if self.code == -signal.SIGABRT and _NO_MEMORY in self.text:
            return "one line"
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}"
        if self.code == 0:
            return "done"
        by_itself = self.code == 1 or _NO_TLS in self.text
        return "one line" if by_itself and len(said(self.text)) == 1 else "several lines"


_NO_TLS = "cannot allocate memory for thread-local data: ABORT"
"""The last words of the C library, which ends a process by itself where memory does not suffice for a thread."""

_NO_MEMORY = "terminate called after throwing an instance of 'std::bad_alloc'"
"""Those of the C++ library, where the memory ends in a place that cannot say so."""

_OWN = ("/stages/", "/pipeline/")
"""What stands in the path of each file of this project that a process runs."""


def shows_traceback(text: str) -> bool:
    """Return whether a process said a traceback that the project could have prevented.

    Where Ctrl-C comes in the hundredths of a second in which Python itself begins, before the first line of a stage, Python says
    where it was.
    """
    begins = "KeyboardInterrupt" in text and "Exception ignored" not in text and not any(part in text for part in _OWN)
    return "Traceback" in text and not begins


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Process:
    """A process in a session of its own."""

    def __init__(self, folder: Path, run: Callable[[], object], *, log: Path) -> None:
        """Fork; the child runs in `folder`, what it says goes to `log`."""
        self._log = log
        sys.stdout.flush()
        sys.stderr.flush()
        # No signal reaches the child before it is what it shall be.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self.pid = os.fork()
        if self.pid == 0:
            _live(folder, run, log)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._ended = os.pidfd_open(self.pid)
        self._code: int | None = None

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended after so many seconds at most."""
        if self._code is None and select.select([self._ended], [], [], max(seconds, 0.0))[0]:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            os.close(self._ended)
        return self._code is not None

    def kill(self, number: int, *, group: bool = False) -> None:
        """Send a signal, to its whole process group or to it alone."""
        try:
            (os.killpg if group else os.kill)(self.pid, number)
        except ProcessLookupError:
            assert group or self._code is not None

    def said(self) -> str:
        """Return what it has written so far; nothing where it was killed before it could begin."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def end(self, seconds: float = BOUND) -> Ended:
        """Wait for its end and kill it where it hangs."""
        if self.wait(seconds):
            return Ended(self._code, self.said())
        self.kill(signal.SIGKILL, group=True)
        self.wait(BOUND)
        return Ended(None, self.said())


def _live(folder: Path, run: Callable[[], object], log: Path) -> None:
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        begin_process()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.chdir(folder)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        silence = os.open(os.devnull, os.O_RDONLY)
        for number, target in ((silence, 0), (output, 1), (output, 2)):
            os.dup2(number, target)
        os.closerange(3, 1024)
        code = int(run() or 0)  # type: ignore[call-overload]
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001 - what Python does at the end of a program
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def forked(module: str, words: Sequence[str], *, prepare: Callable[[], object] = lambda: None) -> Callable[[], object]:
    """Return what runs a stage's command in a fork, after `prepare`."""

    def run() -> None:
        stage = importlib.import_module(module)
        sys.argv = [str(stage.__file__), *words]
        sys.modules["__main__"] = stage
        sys.dont_write_bytecode = True
        prepare()
        stage.main(list(words))

    return run


def program(*words: str) -> Callable[[], object]:
    """Return what becomes another program in a fork."""
    return lambda: os.execvpe(words[0], words, environment())  # noqa: S606


def at_changes(act: Callable[[int, str, str], object]) -> None:
    """Call `act(number, event, path)` before each change of the file system below this folder, from now on in this process."""
    here, counter, lock = f"{Path.cwd()}/", iter(range(sys.maxsize)), threading.Lock()

    def tell(event: str, path: object) -> None:
        if isinstance(path, str | os.PathLike):
            place = os.path.join(here, os.fspath(path))  # noqa: PTH118 - quick, and keeps an absolute path
            if place.startswith(here):
                with lock:
                    number = next(counter)
                act(number, event, place.removeprefix(here))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            tell(event, arguments[0])

    sync = os.fsync

    def synced(fd: Any) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        tell("os.fsync", os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115 - as above
        sync(fd)

    os.fsync = synced
    sys.addaudithook(hook)


def record_reads(reads: set[str]) -> None:
    """Add to `reads` each file below this folder that Python opens, from now on in this process."""
    here = f"{Path.cwd()}/"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike) and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            place = os.path.join(here, os.fspath(arguments[0]))  # noqa: PTH118
            if place.startswith(here):
                reads.add(place.removeprefix(here))

    sys.addaudithook(hook)


def processes_in(folder: Path) -> dict[int, str]:
    """Return the processes that work in a folder, with their commands."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder and int(entry.name) != os.getpid():
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def wait_for_all(folder: Path, seconds: float) -> bool:
    """Return whether no process works in a folder any more, after so many seconds at most; what is left then is killed."""
    end = time.monotonic() + seconds
    while left := processes_in(folder):
        if time.monotonic() > end:
            for process in left:
                with suppressed():
                    os.kill(process, signal.SIGKILL)
            return False
        time.sleep(0.02)
    return True


@contextmanager
def suppressed() -> Iterator[None]:
    """Pass over a process that has gone by itself."""
    try:
        yield
    except ProcessLookupError:
        return
