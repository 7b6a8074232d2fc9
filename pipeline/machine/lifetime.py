"""How long a process lives: no longer than who waits for its work, and never with a traceback where somebody ends it."""

import _thread
import atexit
import ctypes
import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any

from pipeline.machine.shortage import describe_shortage

LAUNCHER = "DARS_LAUNCHER"
"""The variable by which a stage that starts itself several times tells the others its number."""

_NOTHING_LEFT = f"Error: {describe_shortage(MemoryError())}\n".encode()
_BEGINS_WITHIN = 60.0
"""Seconds in which a thread takes its first step on the busiest machine."""
_PR_SET_PDEATHSIG = 1
_IMPORTING = "<frozen importlib._bootstrap>"
"""The file of the frames that carry out an import."""


def begin_process() -> None:
    """Settle what shall hold from the first moment of a stage's process, while the packages that it needs are imported.

    Ctrl-C ends it without a word until `interruptible` says otherwise: there is nothing to put away. What DVC or a launcher
    started dies with it: an orphan of a killed `dvc` would write its outs over those of the next run. A stage by hand outlives
    its shell. Where memory does not suffice for the packages or for a thread, that is one line. At the end Python would search
    all that packages brought for garbage before it lets go of it, which takes as long as a quarter of importing torch.
    """
    atexit.register(gc.freeze)
    sys.excepthook = _show_error
    _listen()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and is not ignored, as below nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    launched = os.environ.get(LAUNCHER)
    if launched is not None:
        die_with(int(launched))
    elif os.environ.keys() & {"DVC_STAGE", "TORCHELASTIC_RUN_ID"}:
        parent = os.getppid()
        die_with(parent)
        # A parent that died before had the session of its children; who adopts orphans has another.
        if "DVC_STAGE" in os.environ and os.getsid(parent) != os.getsid(0):
            os.kill(os.getpid(), signal.SIGKILL)


def _show_error(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if line := describe_shortage(error):
        sys.stderr.write(f"Error: {line}\n")
    else:
        sys.__excepthook__(kind, error, traceback)


def _listen() -> None:
    """Hear in a thread of its own what Python can raise nowhere.

    In a callback, Ctrl-C would be lost. A thread that finds no memory for its first step can call no function written in Python,
    and who started it waits for ever (https://github.com/python/cpython/issues/140746); the queue, written in C, still takes it.
    """
    unheard: SimpleQueue[Any] = SimpleQueue()
    listens = _thread.allocate_lock()
    listens.acquire()
    _thread.start_new_thread(_answer, (unheard, listens.release))  # as threading's, but without waiting for ever
    if not listens.acquire(timeout=_BEGINS_WITHIN):
        raise MemoryError
    sys.unraisablehook = threading.excepthook = unheard.put


def _answer(unheard: SimpleQueue[Any], begun: Callable[[], None]) -> None:
    begun()
    try:
        while True:
            _say(unheard.get())
    except MemoryError:  # not a byte more may be asked for
        os.write(2, _NOTHING_LEFT)
        os._exit(1)


def _say(said: "sys.UnraisableHookArgs | threading.ExceptHookArgs") -> None:
    error: BaseException | None = said.exc_value or said.exc_type()
    while error:  # where memory ends, putting away fails as well
        if line := describe_shortage(error):
            os.write(2, f"Error: {line}\n".encode())
            os._exit(1)
        error = error.__context__
    if said.exc_type is KeyboardInterrupt:
        time.sleep(0.1)  # until the callback has returned: inside of it, it would be lost again
        os.kill(os.getpid(), signal.SIGINT)
    elif isinstance(said, threading.ExceptHookArgs):
        threading.__excepthook__(said)
    else:
        sys.__unraisablehook__(said)


def die_with(parent: int) -> None:
    """Have the system kill this process as soon as `parent`, which started it, has ended; on Linux alone.

    Children do not inherit it. The commands of dvc.yaml begin with `exec`, so the parent of a stage is `dvc` itself and no shell.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in the block, once, in a process that `begin_process` has settled.

    During an import it ends the process as before the block: the C++ in torch and pydantic makes another error of it or aborts.
    What it cut short, such as an event loop that was only half made, complains when it is put away: nobody needs to hear it.
    """
    settled = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    if settled:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        if settled:
            sys.unraisablehook = lambda _: None
            warnings.simplefilter("ignore")
        raise
    finally:
        # Behind the block the interpreter puts itself away; a second Ctrl-C has no patience for it.
        if settled:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    above = frame
    while above is not None:
        if above.f_code.co_filename == _IMPORTING:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        above = above.f_back
    signal.default_int_handler(number, frame)
