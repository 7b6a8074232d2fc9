"""Each file that a stage reads, damaged: the stage names it in one line, or its outs are those of the whole file."""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from pipeline.seal import open_json, open_text, seal_json, seal_text
from tests.torture.experiment import Bench, Stage
from tests.torture.trial import Result
from tests.workspace import said


def _flip(place: float, mask: int) -> Callable[[bytes, Random], bytes]:
    def damage(content: bytes, rng: Random) -> bytes:
        at = min(int((place if place >= 0 else rng.random()) * len(content)), len(content) - 1)
        return content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]

    return damage


def _numbers(content: bytes, rng: Random) -> bytes:
    """Put another number in the place of one."""
    found = list(re.finditer(rb"(?<=[\s\[:,])-?\d+(\.\d+)?(e-?\d+)?(?=[\s,\]}])", content))
    if not found:
        return content
    match, other = (
        rng.choice(found),
        rng.choice((b"-1", b"0", b"7", b"0.5", b"1e300", b"999", b"-0.1", b"NaN", b"1" + b"0" * 400)),
    )
    return content[: match.start()] + other + content[match.end() :]


DAMAGES: dict[str, Callable[[bytes, Random], bytes]] = {
    "byte flipped at the start": _flip(0.0, 0xFF),
    "byte flipped in the middle": _flip(0.5, 0xFF),
    "byte flipped at the end": _flip(1.0, 0xFF),
    "byte flipped anywhere": _flip(-1.0, 0xFF),
    "bit flipped anywhere": _flip(-1.0, 0x01),
    "high bit flipped anywhere": _flip(-1.0, 0x40),
    "cut anywhere": lambda content, rng: content[: rng.randrange(len(content))],
    "last byte cut": lambda content, _: content[:-1],
    "empty": lambda *_: b"",
    "zeros": lambda content, _: bytes(len(content)),
    "zeros from the middle": lambda content, _: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
    "a line more": lambda content, _: content + b"x\n",
    "other numbers": _numbers,
}
WHOLE = ("deleted", "another experiment's", "other numbers, sealed")
"""Damages for which the content of the one file is not enough. The last two are whole files, and DVC's to tell apart."""


def artifact(path: str) -> str:
    """Return what kind of a file it is: the row of the table."""
    store = re.search(r"(softmax|confidences)\.zarr/(.*)", path)
    if store:
        part, partial = "zarr.json" if path.endswith("zarr.json") else "chunk", " (partial)" if ".scratch" in path else ""
        return f"{store[1]}.zarr {part}{partial}"
    folder, name = Path(path).parent.name, Path(path).name
    return f"{folder}/*.png" if name.endswith(".png") else name


def plan(bench: Bench, rng: Random) -> list[tuple[str, str, str]]:
    """Return every stage with every kind of file that it reads and every damage, in random order; a file is drawn for each."""
    combinations = []
    for stage in bench.experiment.stages:
        groups: dict[str, list[str]] = {}
        for path in (*stage.reads, *_partial(bench, stage)):
            groups.setdefault(artifact(path), []).append(path)
        for kind, files in groups.items():
            numeric = kind.endswith((".json", ".tsv", ".yaml"))
            wanted = (damage for damage in (*DAMAGES, *WHOLE) if numeric or "numbers" not in damage)
            combinations += [(stage.name, rng.choice(files), damage) for damage in wanted]
    rng.shuffle(combinations)
    return combinations


def _partial(bench: Bench, stage: Stage) -> list[str]:
    """Return the files of a killed run's partial work that its next run goes on with."""
    scratch = bench.experiment.interrupted.get(stage.name)
    if scratch is None:
        return []
    return [
        f".scratch/{path.relative_to(scratch)}"
        for path in sorted(scratch.rglob("*"))
        if path.is_file() and "locks" not in path.parts
    ]


def damage_input(bench: Bench, number: int, rng: Random) -> Sequence[Result]:
    """Damage one file and run one stage that reads it."""
    planned = plan(bench, Random(0))
    name, path, damage = planned[number % len(planned)]
    stage = bench.experiment.stage(name)
    bench.restore(scratch=name if path.startswith(".scratch") else None)
    bench.remove_outs(stage)
    detail = f"{name}, {path}, {damage}"
    if not _harm(bench, path, damage, rng):
        return [Result(artifact(path), "not applicable", good=True, detail=detail)]
    return [
        judge(
            bench, stage, artifact(path), (path, *_containers(path)), detail, whole=damage in WHOLE[1:] or path == "params.yaml"
        )
    ]


def _containers(path: str) -> list[str]:
    """Return the artifact that a file belongs to, which an error may name in its place."""
    return [match[1] for match in [re.match(r"(.*?\.zarr|.*/pseudo_labels)/", path)] if match]


def _harm(bench: Bench, path: str, damage: str, rng: Random) -> bool:
    """Damage a file; whether it has other content now."""
    file = bench.folder / path
    before = file.read_bytes()
    if damage == "deleted":
        file.unlink()
        return True
    if damage == "another experiment's":
        others = [place for place in sorted((bench.experiment.other / path).parent.glob("*")) if place.name == file.name]
        others = others or sorted(place for place in file.parent.glob(f"*{file.suffix}") if place != file)
        if not others:
            return False
        shutil.copyfile(rng.choice(others), file)
    elif damage == "other numbers, sealed":
        file.write_bytes(_reseal(path, before, rng))
    else:
        file.write_bytes(DAMAGES[damage](before, rng) if before else b"x")
    return file.read_bytes() != before


def _reseal(path: str, content: bytes, rng: Random) -> bytes:
    """Return a sealed file with another number and the seal that fits it; other files as they are."""
    opened, seal = (open_json, seal_json) if path.endswith(".json") else (open_text, seal_text)
    body, whole = opened(content)
    return seal(_numbers(body, rng).decode()).encode() if whole else content


def judge(bench: Bench, stage: Stage, row: str, names: Sequence[str], detail: str, *, whole: bool = False) -> Result:
    """Run a stage and hold it to the promise: a line with one of the names, or the bytes of the reference."""
    ended = bench.start(stage.run()).end()
    outcome, text = ended.describe(), f"{detail}: {ended.text[-400:]}"
    if broken := bench.half_written(stage):
        if outcome == "done" and whole:
            return Result(row, "other result of a whole file: DVC's to find", good=True, detail=text)
        return Result(row, "other bytes, silent" if outcome == "done" else "half-written", good=False, detail=f"{text} {broken}")
    if outcome == "done":
        missing = [out for out in stage.outs if not (bench.folder / out).exists()]
        return Result(row, "no out" if missing else "harmless", good=not missing, detail=text)
    if outcome == "one line":
        named = any(name in said(ended.text)[0] for name in names)
        if whole and not named:
            return Result(row, "whole file of another experiment: another is named", good=True, detail=text)
        return Result(row, "named" if named else "not named", good=named, detail=text)
    return Result(row, outcome, good=False, detail=text)
