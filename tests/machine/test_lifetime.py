"""What DVC or a launcher started dies with it, what a person started does not, and Ctrl-C never shows a traceback."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.machine.lifetime import LAUNCHER
from tests.workspace import all_end

ROOT = Path(__file__).parents[2]
CHILD = """
import os, sys, time
if sys.argv[1] == "late":
    time.sleep(0.5)  # the parent is gone by now
from pipeline.machine.lifetime import begin_process
begin_process()
print("lives", os.getpid(), flush=True)
time.sleep(30)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
print("started", child.pid, flush=True)
time.sleep(30)
"""
INTERRUPTED = """
import signal, time
from pipeline.machine.lifetime import begin_process, interruptible
begin_process()
print("importing", flush=True)
{pause}
try:
    with interruptible():
        print("working", flush=True)
        time.sleep(30)
except KeyboardInterrupt:
    print("put away", flush=True)
"""


def environment(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"DVC_STAGE", LAUNCHER, "TORCHELASTIC_RUN_ID"}}
    return inherited | {"PYTHONPATH": str(ROOT)} | more


@pytest.mark.skipif(sys.platform != "linux", reason="the system call is Linux's")
@pytest.mark.parametrize(
    ("how", "variables", "lives"),
    [
        ("soon", {"DVC_STAGE": "infer@1"}, False),
        ("late", {"DVC_STAGE": "infer@1"}, False),
        ("soon", {}, True),
        ("late", {}, True),
    ],
)
def test_a_stage_dies_with_the_dvc_that_started_it_and_by_hand_lives_on(how: str, variables: dict[str, str], lives: bool) -> None:
    command = [sys.executable, "-c", PARENT, CHILD, how]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment(**variables), start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline().split()[1]))
        if how == "soon":
            assert parent.stdout.readline().startswith("lives")
        parent.kill()
        parent.wait()
        try:
            if lives and how == "late":
                assert parent.stdout.readline().startswith("lives")
            assert all_end([child], within=0.3 if lives else 10) != lives
        finally:
            with suppress(psutil.NoSuchProcess):
                child.kill()


def test_a_worker_of_a_launcher_that_has_gone_does_not_begin() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    done = subprocess.run(
        [sys.executable, "-c", CHILD, "soon"], env=environment(**{LAUNCHER: str(gone.pid)}), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


@pytest.mark.parametrize(
    ("pause", "heard", "ends"),
    [("time.sleep(30)", "importing", (-signal.SIGINT, "")), ("", "importing\nworking", (0, "put away\n"))],
    ids=["while importing", "at work"],
)
def test_an_interrupt_while_importing_is_silent_and_at_work_puts_away(pause: str, heard: str, ends: tuple[int, str]) -> None:
    program = [sys.executable, "-c", INTERRUPTED.format(pause=pause)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in heard.splitlines():
            assert process.stdout.readline().strip() == line
        process.send_signal(signal.SIGINT)
        left, errors = process.stdout.read(), process.stderr.read()
    assert (process.returncode, left) == ends
    assert errors == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [("MemoryError()", "Error: memory - expected enough of it - MemoryError - lower"), ("KeyError('ours')", "Traceback")],
)
def test_packages_that_find_no_memory_are_one_line_and_a_fault_of_ours_keeps_its_traceback(error: str, said: str) -> None:
    program = f"from pipeline.machine.lifetime import begin_process\nbegin_process()\nraise {error}"
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert (done.stderr.count("\n") == 1) == said.startswith("Error")


def test_at_the_end_nothing_is_searched_for_garbage() -> None:
    asked = "import atexit, gc; atexit.register(lambda: print(len(gc.get_objects())))"
    program = f"{asked}\nfrom pipeline.machine.lifetime import begin_process\nbegin_process()"
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100


LOST = """
import os, signal, time
from pipeline.machine.lifetime import begin_process, interruptible

class Callback:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

begin_process()
try:
    with interruptible():
        callback = Callback()
        del callback
        time.sleep(30)
except KeyboardInterrupt:
    print("put away", flush=True)
"""


def test_ctrl_c_inside_of_a_callback_is_not_lost_and_shows_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOST], env=environment(), capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("put away\n", "", 0)


STILLBORN = """
import threading
from pipeline.machine.lifetime import begin_process

class Stillborn(threading.Thread):
    def _bootstrap(self):
        {fails}

begin_process()
Stillborn().start()
"""


@pytest.mark.parametrize("fails", ["raise MemoryError", "try: raise MemoryError\n        finally: {}[0]"])
def test_a_thread_that_finds_no_memory_to_begin_is_one_line_and_nobody_waits_for_it(fails: str) -> None:
    program = [sys.executable, "-c", STILLBORN.format(fails=fails)]
    done = subprocess.run(program, env=environment(), capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("Error: memory - expected enough of it - MemoryError - lower")


def test_an_error_that_nothing_can_raise_is_still_shown() -> None:
    program = """
import threading, time
from pipeline.machine.lifetime import begin_process

def fail():
    raise KeyError("in a thread")

class Callback:
    def __del__(self):
        raise KeyError("in a callback")

begin_process()
callback = Callback()
del callback
threading.Thread(target=fail, name="mine").start()
time.sleep(1)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0
    assert "KeyError: 'in a callback'" in done.stderr
    assert "Exception in thread mine" in done.stderr


HALF_MADE = """
import asyncio, os, signal
from pipeline.machine.lifetime import begin_process, interruptible

class Half:
    def __del__(self):
        raise AttributeError("no socket yet")

async def work():
    pass

begin_process()
try:
    with interruptible():
        half, task = Half(), work()
        os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    del half, task
"""


def test_what_ctrl_c_cut_short_does_not_complain() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HALF_MADE], env=environment(), capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


IMPORTED_FROM_C = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
except BaseException as error:
    raise SystemError("as torch's and pydantic's C++ would have it") from error
"""


def test_ctrl_c_during_an_import_ends_without_a_word_whatever_the_imported_would_make_of_it(tmp_path: Path) -> None:
    (tmp_path / "imported_from_c.py").write_text(IMPORTED_FROM_C)
    program = """
from pipeline.machine.lifetime import begin_process, interruptible
begin_process()
with interruptible():
    import imported_from_c
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment() | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", -signal.SIGINT)
