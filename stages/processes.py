"""How a stage becomes several processes."""

import sys

import click

from pipeline.machine.process_group import is_launched, launch
from pipeline.params import RuntimeParams
from stages.command import CODE_OF_LOSS


def several_processes(runtime: RuntimeParams) -> bool:
    """Run the stage in as many processes as `runtime.processes` says, unless it already runs in one of several.

    Returns:
        Whether it did: then there is nothing left to do.
    """
    if runtime.processes == 1 or is_launched():
        return False
    module = sys.modules["__main__"].__spec__.name  # type: ignore[union-attr]  # stages are run by `python -m`
    if not launch(runtime.processes, module, sys.argv[1:], code_of_loss=CODE_OF_LOSS):
        raise click.exceptions.Exit(1)
    return True
