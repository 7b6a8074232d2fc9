"""Two at once: one stage twice, a stage beside `make clean`."""

from collections.abc import Sequence
from random import Random

from tests.torture.child import Process, forked, wait_for_all
from tests.torture.experiment import Bench
from tests.torture.trial import Result, completed


def race(bench: Bench, number: int, rng: Random) -> Sequence[Result]:
    """Let a stage run twice at once, or be cleaned up after while it runs; then run it to its end."""
    stages = bench.experiment.stages
    stage, clean = stages[number % len(stages)], number // len(stages) % 2 == 1
    name = f"{'make clean beside it' if clean else 'twice at once'}"
    bench.restore()
    bench.remove_outs(stage)
    first = bench.start(stage.run())
    first.wait(rng.uniform(0.0, stage.seconds))
    other = forked("stages.clean", ()) if clean else stage.run()
    second = Process(bench.folder, other, log=bench.log.with_suffix(".second"))
    results = []
    for who, ended in (("first", first.end()), ("make clean" if clean else "second", second.end())):
        outcome = ended.describe()
        detail = f"{stage.name}, {who}: {ended.text[-400:]}"
        results.append(Result(name, outcome, good=outcome in {"done", "one line"}, detail=detail))
    if broken := bench.half_written(stage):
        results.append(Result(name, "half-written", good=False, detail=f"{stage.name}: {broken}"))
    if not wait_for_all(bench.folder, 10.0):
        results.append(Result(name, "process left", good=False, detail=stage.name))
    if all(result.outcome == "done" for result in results) and not clean:
        return [*results, completed(bench, name, stage.name)]
    again = bench.start(stage.run()).end()
    if again.code != 0:
        return [*results, Result(name, f"rerun: {again.describe()}", good=False, detail=f"{stage.name}: {again.text[-400:]}")]
    return [*results, completed(bench, name, stage.name, "rerun: same bytes")]
