"""The parts of the campaign, spread over copies of the experiment."""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from random import Random

from tqdm import tqdm

from tests.torture.damage import damage_input
from tests.torture.experiment import Bench, Experiment
from tests.torture.faults import enter_namespace, fault
from tests.torture.kills import kill_stage, trials
from tests.torture.races import race
from tests.torture.raw import CORPUS, hostile_data
from tests.torture.repro import torture_dvc
from tests.torture.table import failures
from tests.torture.trial import Part, Result

PARTS = ("kills", "dvc", "damage", "raw", "faults", "races")


def parts(*, kills: int, damage: int, faults: int, races: int) -> dict[str, Part]:
    """Return the parts in the order in which they run, with so many kills, damaged inputs, faults and races."""
    of_dvc = kills // 10
    listed = (
        Part("kills", f"Stages killed, {kills - of_dvc} times", trials(kills - of_dvc), kill_stage),
        Part("dvc", f"`dvc repro` killed, {of_dvc} times, and raced", trials(of_dvc) * 2, torture_dvc, with_dvc=True),
        Part("damage", "Damaged inputs", damage, damage_input),
        Part("raw", "Hostile raw data", len(CORPUS), hostile_data),
        Part("faults", "Faults of the machine", faults, fault),
        Part("races", "Stages twice at once, and beside `make clean`", races, race),
    )
    assert tuple(part.name for part in listed) == PARTS
    return {part.name: part for part in listed}


def run_part(
    part: Part, experiment: Experiment, *, seed: int, jobs: int, numbers: Sequence[int] | None = None, until: float = float("inf")
) -> list[tuple[int, Result]]:
    """Run a part's trials, or those of some numbers, in so many copies of the experiment at once.

    A trial depends on the seed and its number alone; a broken promise is told at once. None begins after `until`, a time of
    `time.monotonic`.
    """
    work = partial(_trial, part, experiment, seed, until)
    wanted = range(part.trials) if numbers is None else numbers
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=enter_namespace) as pool:
        results: list[tuple[int, Result]] = []
        done = tqdm(zip(wanted, pool.map(work, wanted), strict=True), desc=part.name, total=len(wanted), mininterval=5.0)
        for number, found in done:
            numbered = [(number, result) for result in found]
            for line in failures({part.name: numbered}, seed):
                done.write(line, file=sys.stderr)
            results += numbered
            done.set_postfix_str(f"{sum(not result.good for _, result in results)} broken promises", refresh=False)
    return results


def _trial(part: Part, experiment: Experiment, seed: int, until: float, number: int) -> Sequence[Result]:
    if time.monotonic() > until:
        return []
    base = experiment.folder.parent
    bench = Bench(experiment, base / f"copy-{os.getpid()}", base / f"said-{os.getpid()}")
    try:
        return part.run(bench, number, Random(f"{seed} {part.name} {number}"))
    except Exception as error:  # noqa: BLE001 - one broken trial must not end the campaign
        return [Result("the harness", type(error).__name__, good=False, detail=f"{error}")]
