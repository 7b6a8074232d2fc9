"""What suggested images are worth: known labels are given to some images more, and everything is trained again from round 0.

A part is one training: of one seed, before any image is added or with those that one ranking chose. Finished parts lie in a
folder as small files, and are never made twice; their workspaces are removed.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from pipeline.comparison.formats import spell_difference, spell_percent
from pipeline.comparison.rows import spread_of
from pipeline.comparison.significance import difference_by_seed
from pipeline.evaluation.metrics import Metrics
from pipeline.experiments.experiment import plan_experiments
from pipeline.experiments.overrides import apply_changes
from pipeline.experiments.settings import Setting, read_setting
from pipeline.files import atomic_path, write_text
from pipeline.schema import read_yaml
from pipeline.suggestions.suggest import SCORES
from pipeline.suggestions.table import read_suggestions
from tests.workspace import ROOT, change_params, dvc, make_workspace, run_stage

BEFORE = "before"
ARMS = (BEFORE, "random", "uncertainty", "shortfall")
"""What is trained of each seed: the labeled images as they are, and with images added by each ranking."""
CONTROLS = ("random", "uncertainty")
MEASURES = {"mIoU": "mean_iou", "tail mIoU": "tail_mean_iou"}
TEACHER = "1"
"""The round whose confidences rank the images: its teacher is the network of round 0."""


@dataclass(frozen=True)
class Plan:
    """What all parts in a folder have in common.

    Attributes:
        on: setting to start from, "" = `params.yaml` as it is.
        run: of that setting, where it has runs.
        roots: DATASET=FOLDER.
        extra: overrides, as DVC takes them.
        label: images to add.
        apart: of `suggest`.
        last_round: 0 = round 0 alone is trained, 1 = a round of self-training follows.
    """

    on: str
    run: str
    roots: tuple[str, ...]
    extra: tuple[str, ...]
    label: int
    apart: int
    last_round: int

    @property
    def rounds(self) -> tuple[str, ...]:
        """Rounds that are measured."""
        return ("0", "1")[: self.last_round + 1]

    @property
    def targets(self) -> list[str]:
        """Stages of DVC that measure them."""
        return ["evaluate_pretrained", "evaluate@1"][: self.last_round + 1]

    def check_folder(self, folder: Path) -> None:
        """Note the plan in the folder, or refuse the folder of another one.

        Raises:
            ValueError: its parts were made by another plan.
        """
        path, own = folder / "plan.json", json.loads(json.dumps(asdict(self)))
        if path.exists() and (known := json.loads(path.read_text())) != own:
            [key, *_] = [key for key in own if own[key] != known.get(key)]
            raise ValueError(f"{path} - {key} - expected {own[key]} - found {known.get(key)} - name another folder")
        write_text(path, json.dumps(own, indent=2) + "\n")

    def parameters(self, seed: int) -> dict[str, Any]:
        """Return all of `params.yaml` for one seed, but for `extra`."""
        setting = read_setting(ROOT / "data/settings", self.on) if self.on else Setting(title="as it is")
        if bool(self.run) != bool(setting.runs):
            raise ValueError(
                f"--run - expected one of {', '.join(setting.runs) or 'none'} - found {self.run or 'none'} - name it"
            )
        runs = [self.run] if self.run else []
        [planned] = plan_experiments(self.on, setting, runs, roots=self.roots, seeds=[seed], extra=())
        tree = dict(apply_changes(read_yaml(ROOT / "params.yaml"), planned.changes))
        return {**tree, "rounds": {"1": tree["rounds"]["1"]}}


def simulate(folder: Path, plan: Plan, *, seeds: Sequence[int], arms: Sequence[str], say: Callable[[str], None]) -> None:
    """Make the parts that are missing.

    Args:
        folder: of the parts.
        plan: that all of them have in common.
        seeds: to run.
        arms: of `ARMS`, to run.
        say: is told of each part.

    Raises:
        ValueError: the folder is that of another plan, or an image to add has no label file.
        AssertionError: DVC failed.
    """
    plan.check_folder(folder)
    for seed in seeds:
        own = folder / f"seed{seed}"
        if not all((own / name).exists() for name in (f"{BEFORE}.json", *(f"{scores}.tsv" for scores in SCORES))):
            say(f"seed {seed}: {BEFORE}")
            _train_before(own, plan, seed)
        for arm in arms:
            if not (own / f"{arm}.json").exists():
                say(f"seed {seed}: {plan.label} images by {arm}")
                _train_with(own, plan, seed, arm)


def _train_before(own: Path, plan: Plan, seed: int) -> None:
    """Train with the labeled images alone, and let every ranking choose among the others."""
    workspace = _workspace(own / "work" / BEFORE, plan, seed)
    dvc(workspace, "repro", f"solve_thresholds@{TEACHER}", *plan.targets)
    for scores in SCORES:
        options = ("--round", TEACHER, "--count", str(plan.label), "--scores", scores, "--apart", str(plan.apart))
        done = run_stage(workspace, "suggest", *options)
        assert done.returncode == 0, done.stderr
        name = TEACHER if scores == "shortfall" else f"{TEACHER}-{scores}"
        shutil.copyfile(workspace / f"data/suggestions/{name}.tsv", own / f"{scores}.tsv")
    lists = (workspace / "data/prepared").glob("*.txt")
    labeled = [
        line for path in lists if path.stem in {"labeled", "holdout"} for line in path.read_text("utf-8").split("\n") if line
    ]
    write_text(own / "labeled.txt", "".join(f"{image_id}\n" for image_id in sorted(labeled)))
    _finish(workspace, own, BEFORE, plan)


def _train_with(own: Path, plan: Plan, seed: int, arm: str) -> None:
    """Train everything again with the images that a ranking chose."""
    chosen = [each.image_id for each in read_suggestions(own / f"{arm}.tsv")[0]]
    before = json.loads((own / f"{BEFORE}.json").read_text())
    # Which classes are rare is a matter of the labeled shares, and has to be the same for all that are compared.
    changes = {"data.labeled_list": "labeled.txt", "evaluation.tail_classes": before["tail_classes"]}
    workspace = _workspace(own / "work" / arm, plan, seed, changes)
    ids = sorted({*(own / "labeled.txt").read_text("utf-8").splitlines(), *chosen})
    write_text(workspace / "data/lists/labeled.txt", "".join(f"{image_id}\n" for image_id in ids))
    dvc(workspace, "repro", *plan.targets)
    _finish(workspace, own, arm, plan)


def _workspace(path: Path, plan: Plan, seed: int, changes: Mapping[str, Any] | None = None) -> Path:
    """Return a workspace with the plan's parameters; what a killed run left in it is gone on with."""
    if not path.exists():
        with atomic_path(path) as partial:
            make_workspace(partial, {})
            with (partial / "params.yaml").open("w") as handle:
                YAML(typ="safe", pure=True).dump(plan.parameters(seed), handle)
            apply_overrides(partial / "params.yaml", list(plan.extra))
            change_params(partial, changes or {})
    return path


def _finish(workspace: Path, own: Path, arm: str, plan: Plan) -> None:
    found = {key: Metrics.read(workspace / f"data/rounds/{key}/metrics.json") for key in plan.rounds}
    values = {key: {name: getattr(metrics, name) for name in MEASURES.values()} for key, metrics in found.items()}
    tail = list(found["0"].tail_classes)
    write_text(own / f"{arm}.json", json.dumps({"rounds": values, "tail_classes": tail}, indent=2) + "\n")
    shutil.rmtree(workspace)
    if not any(workspace.parent.iterdir()):
        workspace.parent.rmdir()


def read_parts(folder: Path) -> dict[str, dict[int, dict[str, dict[str, float | None]]]]:
    """Return the measures of all finished parts: by arm, seed and round."""
    return {
        arm: {
            int(path.parent.name.removeprefix("seed")): json.loads(path.read_text())["rounds"]
            for path in sorted(folder.glob(f"seed*/{arm}.json"))
        }
        for arm in ARMS
    }  # fmt: skip


def to_markdown(folder: Path, plan: Plan) -> str:
    """Return a table of the finished parts: percent over seeds, and differences paired by seed with their 95 % intervals."""
    parts = read_parts(folder)
    head = ["images added", "round", "seeds"]
    for name in MEASURES:
        head += [name, *(f"over {control}" for control in CONTROLS)]
    rows = []
    for key in plan.rounds:
        for arm in ARMS:
            own = parts[arm]
            if not own:
                continue
            cells = [BEFORE if arm == BEFORE else f"{plan.label} by {arm}", key, str(len(own))]
            for measure in MEASURES.values():
                values = {seed: rounds[key][measure] for seed, rounds in own.items()}
                cells.append(spell_percent(spread_of([value for value in values.values() if value is not None])))
                for control in CONTROLS:
                    theirs = {seed: rounds[key][measure] for seed, rounds in parts[control].items()}
                    cells.append("" if arm in {BEFORE, control} else spell_difference(difference_by_seed(values, theirs)))
            rows.append(cells)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))
