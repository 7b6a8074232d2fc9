"""Stages that are killed at random instants and right before their changes of files, again and again, then run to their end."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from random import Random

from tests.torture.child import BOUND, Process, at_changes, program, shows_traceback, wait_for_all
from tests.torture.experiment import Bench, Stage
from tests.torture.trial import Result, completed

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
START = 3.0
"""Seconds of imports before a stage of its own process works."""
SEVERAL = ("infer@1", "sample_labels@1")
"""Stages that write in two processes what one writes; two that train round otherwise, and are compared by tests/stages."""


def chain(number: int) -> int:
    """Return how many kills a trial has: work that was resumed once is killed once more."""
    return 1 + number // 12 % 4


def trials(kills: int) -> int:
    """Return how many trials have so many kills together."""
    number = 0
    while kills > 0:
        kills -= chain(number)
        number += 1
    return number


def kill_stage(bench: Bench, number: int, rng: Random) -> Sequence[Result]:
    """Kill a stage some times, then run it to its end."""
    stages = bench.experiment.stages
    stage, kind = stages[number % len(stages)], rng.choices(("fork", "process", "two processes"), (90, 7, 3))[0]
    if kind == "two processes":
        stage = bench.experiment.stage(rng.choice(SEVERAL))
    bench.restore()
    if kind == "two processes":
        bench.changed({"runtime.processes": 2})
    if rng.random() < 0.7:
        bench.remove_outs(stage)
    results, kills = [], 0
    while kills < chain(number):
        bench.log.unlink(missing_ok=True)
        how, process = _killed(bench, stage, kind, rng)
        if how:
            kills += 1
            results.append(_after_kill(bench, stage, f"{kind}, {how}", process.said()))
        else:
            ended = process.end()
            if ended.code != 0:
                return [*results, Result(stage.name, ended.describe(), good=False, detail=f"before a kill: {ended.text[-300:]}")]
            bench.remove_outs(stage)
    return [*results, _run_to_end(bench, stage, kind)]


def _command(stage: Stage, kind: str, prepare: Callable[[], object] = lambda: None) -> Callable[[], object]:
    return stage.run(prepare) if kind == "fork" else program(sys.executable, "-m", stage.module, *stage.words)


def _killed(bench: Bench, stage: Stage, kind: str, rng: Random) -> tuple[str, Process]:
    """Start a stage and kill it; say how, or nothing where it has ended before."""
    number = rng.choice(SIGNALS)
    if kind == "fork" and rng.random() < 0.5:
        place, at = rng.randrange(stage.changes), [""]

        def strike(count: int, event: str, path: str) -> None:
            if count == place:
                os.write(2, f"\nstruck before {event} {path}\n".encode())
                os.kill(os.getpid(), number)

        process = bench.start(_command(stage, kind, lambda: at_changes(strike)))
        struck = process.wait(BOUND) and "struck before" in process.said()
        at = [line for line in process.said().splitlines() if line.startswith("struck before")] or at
        return (f"{number.name} {at[0].removeprefix('struck ')}" if struck else ""), process
    process = bench.start(_command(stage, kind))
    length = stage.seconds if kind == "fork" else START + stage.seconds
    group = rng.random() < 0.5
    if process.wait(rng.uniform(0.0, length)):
        return "", process
    process.kill(number, group=group)
    process.wait(BOUND)
    return f"{number.name} to the {'group' if group else 'process'}", process


def _after_kill(bench: Bench, stage: Stage, how: str, said: str) -> Result:
    """Look at what a kill leaves: no half-written out, no process."""
    gone = wait_for_all(bench.folder, 40.0 if "TERM" in how or "INT" in how else 10.0)
    if broken := bench.half_written(stage):
        return Result(stage.name, "half-written", good=False, detail=f"{how}: {', '.join(broken)}")
    if not gone:
        return Result(stage.name, "process left", good=False, detail=how)
    if shows_traceback(said):
        return Result(stage.name, "traceback", good=False, detail=f"{how}: {said[-1500:]}")
    return Result(stage.name, "killed", good=True, detail=how)


def _run_to_end(bench: Bench, stage: Stage, kind: str) -> Result:
    ended = bench.start(_command(stage, kind)).end(4 * BOUND)
    if ended.code != 0:
        return Result(stage.name, f"rerun: {ended.describe()}", good=False, detail=f"{kind}: {ended.text[-300:]}")
    return completed(bench, stage.name, kind, "rerun: same bytes")
