"""`python -m stages.X` and `dvc` as forks of a server that has imported their packages: a test waits for no torch.

A folder of two commands, `python` and `dvc`, comes first in the PATH of tests that run whole experiments. Each hands its
arguments, folder, environment and streams to the server and ends as the fork of it ends. The project's own code is imported after
the fork, from the folder in which the command runs. What a test has to see of a process of its own (its parents, a kill, limits,
the order of hashes) it runs without that folder; where the system has no `pidfd_open`, everything is run so.
"""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent
_COMMAND = """#!/bin/sh
exec '{python}' -IS '{client}' '{socket}' '{python}' {name} "$@"
"""


@functools.cache
def prefork_folder() -> Path | None:
    """Start the server of this process and return the folder of its commands; the server ends with this process."""
    if not hasattr(os, "pidfd_open"):
        return None
    folder = Path(tempfile.mkdtemp(prefix="dars-prefork-"))
    socket = folder / "socket"
    for name in ("python", "dvc"):
        command = folder / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(_COMMAND.format(python=sys.executable, client=_HERE / "client.py", socket=socket, name=name))
        command.chmod(0o755)
    # Nothing is ever written to its standard input: the server ends when that is closed, also by the death of this process.
    server = subprocess.Popen(
        [sys.executable, str(_HERE / "server.py"), str(socket)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    atexit.register(_end, server, folder)
    assert server.stdout is not None
    assert server.stdout.readline() == b"listens\n"
    return folder / "bin"


def _end(server: "subprocess.Popen[bytes]", folder: Path) -> None:
    with server:  # closes its standard input and waits
        shutil.rmtree(folder, ignore_errors=True)
