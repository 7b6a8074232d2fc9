"""Experiments, run one after the other by DVC; what is finished is not run again."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence

from pipeline.experiments.experiment import Experiment
from pipeline.experiments.finished import finished_experiments, recorded_params
from pipeline.experiments.overrides import Tree


def spell_commands(experiments: Sequence[Experiment], current: Tree, *, here: bool) -> str:
    """Return the commands for a shell, one to a line; see `run_experiments`."""
    return "\n".join(shlex.join(["dvc", *experiment.arguments(current, here=here)]) for experiment in experiments)


def run_experiments(experiments: Sequence[Experiment], current: Tree, *, here: bool, say: Callable[[str], None]) -> None:
    """Run the experiments that are not finished, in order; `say` is called with a line of text at the start of each.

    `current` is all of `params.yaml`; `here`: in this workspace, not in a temporary one, for one experiment.

    Raises:
        ValueError: a finished experiment of one of the names has other parameters, or DVC failed.
    """
    finished = finished_experiments()
    for experiment in experiments:
        if experiment.name in finished:
            experiment.check_same(current, recorded_params(finished[experiment.name]))
    for experiment in experiments:
        if experiment.name in finished:
            say(f"{experiment.name} is there already; `dvc exp remove {experiment.name}` to run it again")
            continue
        say(f"running {experiment.name}")
        command = [sys.executable, "-m", "dvc", *experiment.arguments(current, here=here)]
        if code := subprocess.run(command, check=False).returncode:
            raise ValueError(f"{experiment.name} - expected dvc to succeed - exit code {code} - see above, then run this again")
