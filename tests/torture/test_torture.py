"""A short version of `make torture`, and the harness held against faults that are planted.

All of it runs in a process of its own, which has imported what the stages need and used nothing of it: only such a one may fork.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest

from pipeline.seal import open_json
from tests.torture.campaign import PARTS, parts, run_part
from tests.torture.child import processes_in, shows_traceback
from tests.torture.damage import judge
from tests.torture.experiment import Bench, Experiment, build_experiment, preload
from tests.torture.kills import chain, kill_stage, trials
from tests.torture.table import document, failures, to_markdown
from tests.torture.trial import Result

SHORT: dict[str, Sequence[int]] = {
    "kills": range(12, 36),
    "damage": range(60),
    "raw": range(0, 185, 5),
    "faults": range(0, 192, 7),
    "races": range(0, 48, 5),
}
"""Trials of the short version; those of DVC take longer, and tests/stages has some."""


def build(base: Path) -> Experiment:
    preload()
    return build_experiment(base, with_dvc=False)


@pytest.fixture(scope="module")
def fresh() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def experiment(fresh: ProcessPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return fresh.submit(build, tmp_path_factory.mktemp("torture")).result()


@pytest.fixture
def bench(experiment: Experiment, tmp_path: Path) -> Bench:
    return Bench(experiment, tmp_path / "copy", tmp_path / "said")


def run_short(experiment: Experiment, name: str) -> list[tuple[int, Result]]:
    return run_part(parts(kills=200, damage=600, faults=192, races=48)[name], experiment, seed=0, jobs=2, numbers=SHORT[name])


@pytest.mark.parametrize("name", SHORT)
def test_whatever_happens_a_run_ends_with_the_same_bytes_or_one_clear_line(
    fresh: ProcessPoolExecutor, experiment: Experiment, name: str
) -> None:
    results = fresh.submit(run_short, experiment, name).result()
    assert {number for number, _ in results} == set(SHORT[name])
    assert not failures({name: results}, 0)


def write_in_place(bench: Bench) -> set[str]:
    mkdir = Path.mkdir
    with (
        patch("pipeline.files.atomic_path", nullcontext),
        patch.object(Path, "mkdir", lambda path, mode=0o777, **options: mkdir(path, mode, **{**options, "exist_ok": True})),
    ):
        return {result.outcome for number in range(0, 96, 12) for result in kill_stage(bench, number, Random(number))}


def test_a_stage_that_writes_its_out_in_place_is_found(fresh: ProcessPoolExecutor, bench: Bench) -> None:
    assert "half-written" in fresh.submit(write_in_place, bench).result()


def read_without_a_look(bench: Bench, *, planted: bool) -> str:
    stage, path = bench.experiment.stage("solve_thresholds@1"), "data/prepared/class_priors.json"
    bench.restore()
    bench.remove_outs(stage)
    content = (bench.folder / path).read_bytes()
    place = content.index(b'"origin": "labeled"') + 12
    (bench.folder / path).write_bytes(content[:place] + b"L" + content[place + 1 :])
    with patch("pipeline.schema.open_json", lambda content: (open_json(content)[0], True)) if planted else nullcontext():
        return judge(bench, stage, "priors", (path,), "").outcome


def test_a_reader_that_takes_a_damaged_file_is_found(fresh: ProcessPoolExecutor, bench: Bench) -> None:
    assert fresh.submit(read_without_a_look, bench, planted=False).result() == "named"
    assert fresh.submit(read_without_a_look, bench, planted=True).result() != "named"


def hang() -> None:
    time.sleep(60)


def fail() -> None:
    raise KeyError("x")


def talk() -> None:
    print("one\ntwo")  # noqa: T201
    sys.exit(1)


def fail_in_three_ways(bench: Bench) -> tuple[list[str], bool]:
    stage = bench.experiment.stage("summarize")
    bench.restore()
    said = [bench.start(stage.run(way)).end(5.0).describe() for way in (hang, fail, talk)]
    return said, bool(processes_in(bench.folder))


def test_a_hang_a_traceback_and_several_lines_are_told_apart(fresh: ProcessPoolExecutor, bench: Bench) -> None:
    assert fresh.submit(fail_in_three_ways, bench).result() == (["hang", "traceback", "several lines"], False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Aborted!\n", False),
        ('Traceback (most recent call last):\n  File "/python/runpy.py", line 1\nKeyboardInterrupt\n', False),
        ('Traceback (most recent call last):\n  File "/here/stages/infer.py", line 1\nKeyboardInterrupt\n', True),
        ('Traceback (most recent call last):\n  File "/python/runpy.py", line 1\nKeyError: 1\n', True),
        ("Exception ignored in: <function remove>\nTraceback (most recent call last):\nKeyboardInterrupt\n", True),
    ],
)
def test_only_where_python_itself_begins_a_traceback_is_none_of_ours(text: str, shown: bool) -> None:
    assert shows_traceback(text) == shown


def test_a_campaign_has_as_many_kills_as_were_asked_for() -> None:
    for kills in (1, 7, 1000):
        assert kills <= sum(chain(number) for number in range(trials(kills))) < kills + 4
    assert tuple(parts(kills=200, damage=600, faults=192, races=48)) == PARTS


def test_the_table_counts_outcomes_and_a_failure_can_be_repeated_alone() -> None:
    results = [(0, Result("infer", "same bytes", good=True)), (3, Result("infer", "hang", good=False, detail="SIGKILL\nlate"))]
    table = to_markdown(parts(kills=1, damage=1, faults=1, races=1)["kills"], results)
    assert "| infer | 1 | 1 |" in table
    assert "**hang**" in table
    line = "python -m tests.torture --seed 5 --only kills --number 3  # infer: hang - SIGKILL late"
    assert failures({"kills": results}, 5) == [line]
    assert document("Above.\n\nSource: old\n\n| a |\n", "Source: new") == "Above.\n\nSource: new\n"
