"""What stands for `python` and `dvc` in front of the server: hands over the command and ends as the command does."""

import json
import os
import signal
import socket
import sys

address, python, name, *arguments = sys.argv[1:]
if name == "python" and not (arguments[0] == "-m" and arguments[1].startswith("stages.")):
    os.execv(python, [python, *arguments])  # noqa: S606
words = ["dvc", *arguments] if name == "dvc" else arguments[1:]
request = {"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109  # pathlib takes longer to import than this to run
with socket.socket(socket.AF_UNIX) as server:
    server.connect(address)
    socket.send_fds(server, [b" "], [0, 1, 2])
    server.sendall(json.dumps(request).encode() + b"\n")
    status = int(server.makefile().readline())
if os.WIFSIGNALED(status):
    signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
    os.kill(os.getpid(), os.WTERMSIG(status))
sys.exit(os.waitstatus_to_exitcode(status))
