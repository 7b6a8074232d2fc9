"""Imports what stages and dvc import of others, then forks for every command that a client hands over."""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

PACKAGES = ("dvc.cli", "dvc.repo", "matplotlib.figure", "pydantic", "scipy.ndimage", "torch", "zarr")


def main() -> None:
    import_packages()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how those who attend to clients have ended
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        os.write(1, b"listens\n")
        request = serve(listener)
    if request is not None:
        become(**request)


def import_packages() -> None:
    """Import what is slow to; none of it starts a thread, which a fork would lose."""
    for name in PACKAGES:
        importlib.import_module(name)
    gc.freeze()  # a fork that looked for garbage among all this would copy it


def serve(listener: socket.socket) -> dict[str, Any] | None:
    """Return None once the tests have ended; in a process that shall run a command, what it has to run."""
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return None
        client, _ = listener.accept()
        if os.fork() == 0:
            return attend(client)
        client.close()


def attend(client: socket.socket) -> dict[str, Any]:
    """Run a client's command in a fork and say how it ended; a client that is killed takes it along."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as words:
        request: dict[str, Any] = json.loads(words.readline())
    process = os.fork()
    if process == 0:
        client.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        return request
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(process)
    ready, _, _ = select.select([client.fileno(), ended], [], [])
    if ended not in ready:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with suppress(OSError):
        client.sendall(f"{status}\n".encode())
    os._exit(0)


def become(words: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run a command as a process of its own would."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    if words[0] == "dvc":
        from dvc.cli import main as run

        sys.exit(run(words[1:]))
    sys.path[0] = folder
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
