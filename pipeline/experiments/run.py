"""Experiments, run one after the other by DVC; what is finished is not run again."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from pipeline.experiments.data import current_data, data_key, recorded_data
from pipeline.experiments.experiment import Experiment
from pipeline.experiments.finished import finished_experiments, recorded_inputs, recorded_params
from pipeline.experiments.overrides import Tree
from pipeline.experiments.side_by_side import Job, run_side_by_side


def spell_commands(experiments: Sequence[Experiment], current: Tree, *, here: bool) -> str:
    """Return the commands for a shell, one to a line; see `run_experiments`."""
    return "\n".join(shlex.join(["dvc", *experiment.arguments(current, here=here)]) for experiment in experiments)


def run_experiments(
    experiments: Sequence[Experiment], current: Tree, *, here: bool, jobs: int = 1, say: Callable[[str], None]
) -> None:
    """Run the experiments that are not finished, in order; `say` is called with a line of text at the start of each.

    One that is finished on other data than those of today, more labels for instance, runs under a name of its own; the old one
    stays, to compare.

    `current` is all of `params.yaml`; `here`: in this workspace, not in a temporary one, for one experiment; `jobs` run at once.

    Raises:
        ValueError: a finished experiment of one of the names has other parameters, or DVC failed.
    """
    finished = finished_experiments()
    wanted: list[Job] = []
    for experiment in [_named_by_data(experiment, current, finished) for experiment in experiments]:
        if experiment.name in finished:
            say(f"{experiment.name} is there already; `dvc exp remove {experiment.name}` to run it again")
            continue
        command = [sys.executable, "-m", "dvc", *experiment.arguments(current, here=here)]
        wanted.append(Job(experiment.name, command, experiment.teacher(current)))
    if jobs > 1:
        run_side_by_side(wanted, most=jobs, say=say)
        return
    for job in wanted:
        say(f"running {job.name}")
        if code := subprocess.run(job.command, check=False).returncode:
            raise ValueError(f"{job.name} - expected dvc to succeed - exit code {code} - see above, then run this again")


def show_on_page() -> None:
    """Write the report of this workspace anew, with the tables that are there now.

    Raises:
        ValueError: DVC failed.
    """
    if code := subprocess.run([sys.executable, "-m", "dvc", "repro", "--single-item", "report"], check=False).returncode:
        raise ValueError(f"report - expected dvc to succeed - exit code {code} - see above, then `dvc repro report`")


def _named_by_data(experiment: Experiment, current: Tree, finished: Mapping[str, str]) -> Experiment:
    """Return the experiment under its own name, or under another where its own is taken by one on other data."""
    if experiment.name not in finished:
        return experiment
    reference = finished[experiment.name]
    recorded = recorded_params(reference)
    experiment.check_same(current, recorded)
    hashes = current_data(experiment.data(current, recorded))
    if hashes == recorded_data(recorded["data"], recorded_inputs(reference)):
        return experiment
    renamed = experiment.on_other_data(data_key(hashes))
    if renamed.name in finished:
        renamed.check_same(current, recorded_params(finished[renamed.name]))
    return renamed
