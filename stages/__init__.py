"""The corridor: one click command for one DVC stage; each opens its inputs, calls one room after another and writes its outs."""

import sys

from pipeline.machine.lifetime import begin_process

# While `python -m stages.NAME` looks for NAME, this is the name of the program: who imports a stage otherwise stays as it is.
if sys.argv[:1] == ["-m"]:
    begin_process()
