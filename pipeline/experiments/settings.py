"""Settings, those of the paper and others, as files: the part of `params.yaml` that differs, spelled as DVC's own overrides.

A setting never replaces `params.yaml`: it says which of its values an experiment overrides, and `dvc exp run` does the rest.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.experiments.overrides import merge
from pipeline.schema import Section, read_section


class Setting(Section):
    """One file of settings."""

    title: str
    """What is compared, in one line."""
    reference: str = ""
    """Table or section of the paper, if it is one of the paper's."""
    figure: str = ""
    """What the paper reports: mIoU in percent."""
    needs: Mapping[str, str] = Field(default_factory=dict)
    """What must lie on disk, by name of the data set; that of the base unless set."""
    notes: str = ""
    """What the paper leaves open and how it is read here."""
    base: str | None = None
    """Setting that this one starts from; null = `params.yaml` as it is."""
    params: Mapping[str, Any] = Field(default_factory=dict)
    """What all runs change, laid out like `params.yaml`; `rounds` replaces all rounds."""
    controls: Mapping[str, str] = Field(default_factory=dict)
    """The control of each run that has one of its own, where `none` is not what it is to be held against."""
    runs: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """What each run changes besides, by name; none = one run."""


def read_setting(folder: Path, name: str, *, on: str | None = None) -> Setting:
    """Read a setting and, merged into it, those that it starts from.

    Args:
        folder: of the settings.
        name: file name without `.yaml`.
        on: another setting to start from instead of its own, to compare the same runs on another data set.

    Raises:
        ValueError: there is no such setting, it starts from itself, or a key or value is wrong.
    """
    setting = _read_file(folder, name)
    if on is not None:
        setting = setting.model_copy(update={"base": on, "needs": {}})
    seen = [name]
    while setting.base is not None:
        if setting.base in seen:
            raise ValueError(f"{folder / name}.yaml - base - expected another setting - found {setting.base} - correct it")
        seen.append(setting.base)
        base = _read_file(folder, setting.base)
        merged = merge(base.params, setting.params)
        setting = setting.model_copy(update={"base": base.base, "params": merged, "needs": setting.needs or base.needs})
    return setting


def list_settings(folder: Path) -> list[str]:
    """Return the names of all settings, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def describe_settings(folder: Path) -> str:
    """Say what each setting is, what it needs and which runs it has; several lines for each."""
    lines: list[str] = []
    for name in list_settings(folder):
        setting = read_setting(folder, name)
        lines.append(f"{name}: {setting.title}")
        if setting.reference:
            lines.append(f"  {setting.reference}; in the paper: {setting.figure}")
        lines += [f"  needs --root {data_set}=FOLDER: {files}" for data_set, files in setting.needs.items()]
        if setting.runs:
            lines.append(f"  runs: {', '.join(setting.runs)}")
    return "\n".join(lines)


def _read_file(folder: Path, name: str) -> Setting:
    path = folder / f"{name}.yaml"
    if name not in list_settings(folder):
        raise ValueError(f"{path} - expected one of {', '.join(list_settings(folder))} - found no such setting - choose one")
    return read_section(path, Setting)
