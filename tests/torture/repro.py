"""`dvc repro` itself: killed, two at once, beside an orphan with other parameters, with its own files torn."""

import os
import shutil
import signal
from collections.abc import Sequence
from random import Random

from ruamel.yaml import YAML

from tests.torture.child import Process, processes_in, program, suppressed, wait_for_all
from tests.torture.damage import DAMAGES
from tests.torture.experiment import Bench, Stage
from tests.torture.kills import SIGNALS, chain
from tests.torture.trial import Result, completed

HANGS = 300.0
WORK = 12.0
"""Seconds in which a `dvc repro` is killed at random; a stage takes about four."""


def torture_dvc(bench: Bench, number: int, rng: Random) -> Sequence[Result]:
    """Kill `dvc repro` some times, let two run, leave an orphan or tear its files; then run it to its end."""
    _restore(bench)
    if number % 6 == 4:
        return _two_at_once(bench, rng)
    if number % 6 == 5:
        return _orphan(bench, rng)
    if number % 6 == 3:
        return _torn(bench, rng)
    _forget_the_last(bench, rng)
    results = []
    for _ in range(chain(number)):
        process = bench.start(program("dvc", "repro"))
        while process.wait(rng.uniform(1.0, WORK)):
            # It was quicker than the kill: begin anew.
            _restore(bench)
            _forget_the_last(bench, rng)
            process = bench.start(program("dvc", "repro"))
        results.append(_kill(bench, process, rng))
        if rng.random() < 0.5:
            wait_for_all(bench.folder, 60.0)
        for stage in bench.experiment.stages:
            if broken := bench.half_written(stage):
                results.append(Result("kills", "half-written", good=False, detail=f"{results[-1].detail}: {broken}"))
    return [*results, *_to_end(bench, "kills")]


def _restore(bench: Bench) -> None:
    """Bring the copy back to what DVC has finished, with its cache."""
    shutil.rmtree(bench.folder, ignore_errors=True)
    shutil.copytree(bench.experiment.folder, bench.folder, symlinks=True)


def _forget_the_last(bench: Bench, rng: Random) -> None:
    stages = bench.experiment.stages
    _forget(bench, stages[rng.randrange(len(stages)) :])


def _forget(bench: Bench, stages: Sequence[Stage]) -> None:
    """Make DVC forget that stages ever ran."""
    shutil.rmtree(bench.folder / ".dvc/cache/runs", ignore_errors=True)
    lock, yaml = bench.folder / "dvc.lock", YAML()
    tree = yaml.load(lock.read_text())
    for stage in stages:
        del tree["stages"][stage.name]
        bench.remove_outs(stage)
    with lock.open("w") as handle:
        yaml.dump(tree, handle)


def _kill(bench: Bench, process: Process, rng: Random) -> Result:
    """Kill dvc alone, its process group or the stage that it runs."""
    number, whom = rng.choice(SIGNALS), rng.choice(("dvc", "group", "stage"))
    running = [pid for pid, command in processes_in(bench.folder).items() if " stages." in command and "-m" in command]
    if whom == "stage" and running:
        with suppressed():
            os.kill(rng.choice(running), number)
    else:
        process.kill(number, group=whom == "group")
    if not process.wait(HANGS):
        return Result("kills", "hang", good=False, detail=f"{number.name} to {whom}")
    if whom == "group" and not wait_for_all(bench.folder, 60.0):
        return Result("kills", "process left", good=False, detail=f"{number.name} to {whom}")
    return Result("kills", "killed", good=True, detail=f"{number.name} to {whom}")


def _to_end(bench: Bench, row: str, detail: str = "") -> list[Result]:
    """Run `dvc repro` to its end; where it cannot go on, `make repair` may mend it once."""
    outcome = "rerun: same bytes"
    ended = bench.start(program("dvc", "repro")).end(HANGS)
    if ended.code and (bench.folder / "stages/repair.py").exists():
        outcome = "repaired: same bytes"
        bench.start(program("python", "-m", "stages.repair")).end(HANGS)
        ended = bench.start(program("dvc", "repro")).end(HANGS)
    if ended.code != 0:
        return [Result(row, f"rerun: {ended.describe()}", good=False, detail=f"{detail} {ended.text[-500:]}")]
    if not wait_for_all(bench.folder, 60.0):
        return [Result(row, "process left", good=False, detail=detail)]
    # Where DVC takes outs from its cache, no stage of them runs, and what a killed one left beside them is left to `make clean`.
    bench.start(program("python", "-m", "stages.clean")).end(HANGS)
    if (bench.folder / "dvc.lock").read_text() != (bench.experiment.folder / "dvc.lock").read_text():
        return [Result(row, "another dvc.lock", good=False, detail=detail)]
    return [completed(bench, row, detail, outcome)]


def _torn(bench: Bench, rng: Random) -> Sequence[Result]:
    """Damage one of the files that DVC itself needs, repair, and run it to its end."""
    cache = bench.folder / ".dvc/cache"
    objects, records = (sorted(path for path in (cache / name).rglob("*") if path.is_file()) for name in ("files", "runs"))
    rwlock, lock, params = (bench.folder / name for name in (".dvc/tmp/rwlock", "dvc.lock", "params.yaml"))
    file = rng.choice([rwlock, lock, lock, params, rng.choice(objects), rng.choice(objects), rng.choice(records)])
    damage = "empty" if file in {rwlock, params} else rng.choice([name for name in DAMAGES if "number" not in name])
    file.chmod(0o644)
    file.write_bytes(DAMAGES[damage](file.read_bytes(), rng))
    row, detail = "torn, then repaired", f"{file.relative_to(bench.folder)}, {damage}"
    if rng.random() < 0.5:
        bench.remove_outs(rng.choice(bench.experiment.stages))
    ended = bench.start(program("python", "-m", "stages.repair")).end(HANGS)
    first = Result(row, f"repair: {ended.describe()}", good=ended.code == 0, detail=f"{detail}: {ended.text[-300:]}")
    return [first, *_to_end(bench, row, detail)]


def _two_at_once(bench: Bench, rng: Random) -> Sequence[Result]:
    """Start a second `dvc repro` beside a first: one runs, the other runs or says that it is busy."""
    _forget(bench, bench.experiment.stages[-rng.randrange(2, 6) :])
    first = bench.start(program("dvc", "repro"))
    first.wait(rng.uniform(0.0, WORK))
    second = Process(bench.folder, program("dvc", "repro"), log=bench.log.with_suffix(".second")).end(HANGS)
    ended = first.end(HANGS)
    results = []
    for one in (ended, second):
        outcome = "done" if one.code == 0 else "busy" if "busy" in one.text or "lock" in one.text else one.describe()
        results.append(Result("two at once", outcome, good=outcome in {"done", "busy"}, detail=one.text[-400:]))
    return [*results, *_to_end(bench, "two at once")]


def _orphan(bench: Bench, rng: Random) -> Sequence[Result]:
    """Kill dvc alone while a stage runs with another alpha; go back to the old one beside what is left of it."""
    stage = bench.experiment.stage(
        rng.choice(("solve_thresholds@1", "sample_labels@1", "statistics@1", "train_student@1", "evaluate@1"))
    )
    bench.changed({"alpha": 0.2})
    process = bench.start(program("dvc", "repro"))
    name = f" {stage.module} "
    while not any(name in command for command in processes_in(bench.folder).values()):
        if process.wait(0.02):
            return [Result("orphan", "not met", good=True, detail=stage.name)]
    process.wait(rng.uniform(0.0, 4.0))
    process.kill(signal.SIGKILL)
    process.wait(HANGS)
    shutil.copy(bench.experiment.folder / "params.yaml", bench.folder / "params.yaml")
    if rng.random() < 0.5:
        shutil.rmtree(bench.folder / ".dvc/cache/runs", ignore_errors=True)
    results = _to_end(bench, "orphan")
    return [Result("orphan", "left behind", good=True, detail=stage.name), *results]
