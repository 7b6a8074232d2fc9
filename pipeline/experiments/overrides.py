"""Changes to `params.yaml`: merged, applied, compared, and spelled as DVC's own overrides."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_ABSENT = object()
_LONGEST_SUFFIX = 100
"""Characters: names become files."""

Tree = Mapping[str, Any]
"""A part of `params.yaml`, nested as there."""


def merge(base: Tree, changes: Tree) -> Tree:
    """Return `base` with `changes`: mappings are merged, anything else and `rounds` is replaced."""
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping) and key != "rounds"
        merged[key] = merge(base[key], value) if nested else value
    return merged


def apply_changes(current: Tree, changes: Tree) -> Tree:
    """Return all of `params.yaml` as it is once the `overrides` of `changes` are applied to `current`."""
    rounds = current.get("rounds", {})
    kept = {number: merge(rounds.get(number, {}), section) for number, section in changes.get("rounds", rounds).items()}
    return {**merge(current, changes), "rounds": kept}


def overrides(changes: Tree, current: Tree) -> list[str]:
    """Spell changes as arguments of `dvc exp run --set-param`.

    Args:
        changes: part of `params.yaml`.
        current: all of it; what has the wanted value already needs no override, a round that is not wanted is dropped.

    Returns:
        `key=value` to change, `+key=value` to add, `~key` to drop; in Hydra's override grammar, as DVC takes them.
    """
    spelled: list[str] = []
    for key, value in changes.items():
        there = current.get(key)
        if key == "rounds":
            spelled += [f"~rounds.{number}" for number in there or {} if number not in value]
            added = {number: section for number, section in value.items() if number not in (there or {})}
            spelled += [f"+rounds.{number}={_spell(section)}" for number, section in added.items()]
            kept = {number: section for number, section in value.items() if number not in added}
            spelled += _leaves(key, kept, there)
        else:
            spelled += _leaves(key, value, there)
    return spelled


def name_suffix(extra: Sequence[str]) -> str:
    """Return what a user's own overrides add to the name of an experiment: a name that git and DVC take; of none, ""."""
    text = "".join(f"+{override.lstrip('+')}" for override in extra)
    plain = re.sub(r"[^A-Za-z0-9=+._-]|\.\.+|\.$", "_", text)
    return plain if len(plain) <= _LONGEST_SUFFIX else f"+{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def overridden_key(override: str) -> str:
    """Return the dotted key that an override of `dvc exp run --set-param` is about."""
    return override.lstrip("+~").partition("=")[0]


def find_difference(wanted: Tree, recorded: Tree, *, extra: Sequence[str]) -> str | None:
    """Say where an experiment was run with other parameters than those wanted now, both all of `params.yaml`.

    The keys of `extra`, the user's own overrides, are part of the experiment's name and not compared, nor is `runtime`. Where
    the data lie is not compared either: what they are is, see `recorded_data`.

    Returns:
        Key, value recorded and value wanted, or None.
    """
    known = ["runtime", "data.root", "data.source_root", *map(overridden_key, extra)]
    for key, (ours, theirs) in differences(wanted, recorded).items():
        if not any(f"{key}.".startswith(f"{own}.") for own in known):
            shown = ["nothing" if value is _ABSENT else _spell(value) for value in (theirs, ours)]
            return f"{key}: {shown[0]} instead of {shown[1]}"
    return None


def differences(first: Tree, second: Tree) -> dict[str, tuple[object, object]]:
    """Return both values of every dotted key at which two parts of `params.yaml` differ, sorted by key."""
    trees = [dict(_flatten("", tree)) for tree in (first, second)]
    values = {key: (trees[0].get(key, _ABSENT), trees[1].get(key, _ABSENT)) for key in sorted({*trees[0], *trees[1]})}
    return {key: pair for key, pair in values.items() if pair[0] != pair[1]}


def _flatten(key: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flatten(f"{key}.{name}" if key else str(name), inner)
    else:
        yield key, value


def _leaves(key: str, value: object, current: object) -> list[str]:
    if isinstance(value, Mapping) and current is not None:  # what stands in the place of null is one value
        known = current if isinstance(current, Mapping) else {}
        return [text for name, inner in value.items() for text in _leaves(f"{key}.{name}", inner, known.get(name, _ABSENT))]
    return [] if value == current and type(value) is type(current) else [f"{key}={_spell(value)}"]


def _spell(value: object) -> str:
    """Write a value in Hydra's override grammar; a text that could be taken for anything else is quoted."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_spell(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_spell, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in {"null", "true", "false", "nan", "inf"}:
            return value
        # A backslash escapes only before a quote, so only those before a quote, the closing one included, are doubled.
        return '"' + re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + ("\\" + found[2] if found[2] else ""), value) + '"'
    return repr(value)
