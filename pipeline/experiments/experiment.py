"""The experiments that a setting stands for: one for each run and seed, and the command of DVC that makes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.experiments.overrides import (
    Tree,
    apply_changes,
    differences,
    find_difference,
    merge,
    name_suffix,
    overridden_key,
    overrides,
)
from pipeline.experiments.settings import Setting


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        stem: of its name, which the seed follows.
        ending: of its name, "-seed1" or "".
        changes: what the setting changes in `params.yaml`, nested as there.
        extra: the user's own overrides, as DVC takes them.
    """

    stem: str
    ending: str
    changes: Tree
    extra: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name under which DVC keeps it."""
        return self.stem + self.ending

    def on_other_data(self, key: str) -> "Experiment":
        """Return the same experiment under a name of its own for data that are not those of the finished one."""
        return replace(self, stem=f"{self.stem}+data-{key}")

    def data(self, current: Tree, recorded: Tree) -> Tree:
        """Return the section `data` that this one runs with; both are all of `params.yaml`, as it is and as it was recorded.

        What the user's own overrides say, which only DVC can read, is as recorded: they are part of the name.
        """
        own = {overridden_key(override) for override in self.extra}
        wanted = apply_changes(current, self.changes)["data"]
        return {key: (recorded["data"] if own & {"data", f"data.{key}"} else wanted)[key] for key in wanted}

    def arguments(self, current: Tree, *, here: bool) -> list[str]:
        """Return what to run by `dvc`, given all of `params.yaml`; `here`: in this workspace, not in a temporary one."""
        words = [word for override in (*overrides(self.changes, current), *self.extra) for word in ("-S", override)]
        return ["exp", "run", *([] if here else ["--temp"]), "--name", self.name, *words]

    def teacher(self, current: Tree) -> str:
        """Return what round 0 depends on, given all of `params.yaml`, as text; `extra` is the same for all of one command."""
        wanted = apply_changes(current, self.changes)
        return repr([wanted[key] for key in ("seed", "data", "model", "training", "augmentation", "pretrain", "inference")])

    def check_same(self, current: Tree, recorded: Tree) -> None:
        """Refuse a finished experiment of this name that ran with other parameters.

        Raises:
            ValueError: `recorded` is not what this one would run with, given `current`; both are all of `params.yaml`.
        """
        if difference := find_difference(apply_changes(current, self.changes), recorded, extra=self.extra):
            raise ValueError(
                f"{self.name} - expected an experiment with these parameters - found {difference}"
                f" - `dvc exp remove {self.name}` to run it again, or commit: names are free at a new commit"
            )


def experiment_name(name: str, on: str | None) -> str:
    """Return what the names of a setting's experiments begin with; `on` is the setting that it starts from, if asked for."""
    return name if on is None else f"{name}-on-{on}"


def plan_experiments(
    name: str, setting: Setting, runs: Sequence[str], *, roots: Sequence[str], seeds: Sequence[int], extra: tuple[str, ...]
) -> list[Experiment]:
    """List the experiments of a setting.

    Args:
        name: what their names begin with.
        setting: as read.
        runs: those wanted; none for all.
        roots: DATASET=FOLDER for each data set that the setting needs.
        seeds: that are wanted; none for the one in `params.yaml`.
        extra: the user's own overrides; part of the names.

    Raises:
        ValueError: there is no such run, or a data set's folder is missing or not needed.
    """
    if unknown := [run for run in runs if run not in setting.runs]:
        raise ValueError(f"{name} - expected runs among {', '.join(setting.runs)} - found {unknown[0]} - choose among them")
    folders = _data_folders(name, setting, roots)
    chosen = {f"{name}-{run}": setting.runs[run] for run in runs or setting.runs} or {name: {}}
    experiments: list[Experiment] = []
    for run_name, own in chosen.items():
        changes = _with_folders(merge(setting.params, own), folders)
        by_ending: dict[str, Tree] = {f"-seed{seed}": {**changes, "seed": seed} for seed in seeds} or {"": changes}
        experiments += [Experiment(run_name + name_suffix(extra), end, tree, extra) for end, tree in by_ending.items()]
    return experiments


def drop_leftovers(experiments: Sequence[Experiment], current: Tree, committed: Tree) -> tuple[list[Experiment], list[str]]:
    """Take back what `params.yaml` was changed in for other data than those of the experiments.

    A number of images, a length of their sides, a class of the tail belong to the data for which somebody set them. So edits
    since the last commit count only where an experiment is about the data that they were made for: of the same name and root.

    Args:
        experiments: as planned.
        current: all of `params.yaml` as it is.
        committed: all of it as it was last committed.

    Returns:
        The experiments, and lines that say which keys are as committed again.
    """
    kept: list[Experiment] = []
    lines: dict[str, None] = {}
    for experiment in experiments:
        wanted = apply_changes(current, experiment.changes)
        own = {overridden_key(override) for override in experiment.extra}
        same = not own & {"data.name", "data.root"} and all(
            wanted["data"][key] == current["data"][key] for key in ("name", "root")
        )
        changes = experiment.changes if same else merge({**committed, "runtime": {}}, experiment.changes)
        kept.append(replace(experiment, changes=changes))
        if keys := differences(wanted, apply_changes(current, changes)):
            lines[f"params.yaml was changed for other data; as committed again: {', '.join(keys)}"] = None
    return kept, list(lines)


def _data_folders(name: str, setting: Setting, roots: Sequence[str]) -> dict[str, str]:
    """Return the absolute folder of each data set: experiments in temporary workspaces see no other untracked data."""
    given = dict(text.partition("=")[::2] for text in roots)
    if missing := [data_set for data_set in setting.needs if not given.get(data_set)]:
        raise ValueError(
            f"{name} - expected --root {missing[0]}=FOLDER - found none - name the folder with {setting.needs[missing[0]]}"
        )
    if strange := [data_set for data_set in given if data_set not in setting.needs]:
        needs = ", ".join(setting.needs) or "none"
        raise ValueError(f"{name} - expected a --root for {needs} - found {strange[0]!r} - leave it out or correct the name")
    for data_set, folder in given.items():
        # Somebody's own images may lie in an archive.
        if not Path(folder).is_dir() and not (data_set == "folder" and Path(folder).is_file()):
            raise ValueError(f"--root {data_set} - expected a folder - found {folder} - correct the path")
    return {data_set: str(Path(folder).resolve()) for data_set, folder in given.items()}


def _with_folders(changes: Tree, folders: Mapping[str, str]) -> Tree:
    data = changes.get("data", {})
    roots = {"root": folders.get(data.get("name", "")), "source_root": folders.get(data.get("source") or "")}
    return merge(changes, {"data": {key: folder for key, folder in roots.items() if folder}})
