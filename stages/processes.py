"""How a stage becomes several processes."""

import os
import sys

import click

from pipeline.params import RuntimeParams
from pipeline.processes import launch


def several_processes(runtime: RuntimeParams) -> bool:
    """Run the stage in as many processes as `runtime.processes` says, unless it already runs in one of several.

    Returns:
        Whether it did: then there is nothing left to do.
    """
    if runtime.processes == 1 or "WORLD_SIZE" in os.environ:
        return False
    module = sys.modules["__main__"].__spec__.name  # type: ignore[union-attr]  # stages are run by `python -m`
    if not launch(runtime.processes, module, sys.argv[1:]):
        raise click.exceptions.Exit(1)
    return True
