"""Finished experiments: DVC keeps each as a git commit below `refs/exps/`, by the commit that it started from and its name.

They are read with git: `dvc.api.metrics_show(rev=...)` fails where the workspace itself has no metrics, as after temporary
experiments, and takes seconds for each.
"""

import subprocess
from typing import Any

from pipeline.results.summary import Summary
from pipeline.schema import read_yaml_text


def finished_experiments() -> dict[str, str]:
    """Return the git reference of each finished experiment of the current commit, by its name."""
    head = _git("rev-parse", "HEAD").strip()
    folder = f"refs/exps/{head[:2]}/{head[2:]}/"
    return {ref.removeprefix(folder): ref for ref in _git("for-each-ref", "--format=%(refname)", folder).split()}


def recorded_params(reference: str) -> dict[str, Any]:
    """Return all of `params.yaml` as an experiment ran with it."""
    tree: dict[str, Any] = read_yaml_text(_git("show", f"{reference}:params.yaml"), where=f"{reference}: params.yaml")
    return tree


def recorded_inputs(reference: str) -> dict[str, str]:
    """Return DVC's hash of everything that the stage `prepare` of an experiment read, by path."""
    lock = read_yaml_text(_git("show", f"{reference}:dvc.lock"), where=f"{reference}: dvc.lock")
    return {dependency["path"]: dependency["md5"] for dependency in lock["stages"]["prepare"]["deps"]}


def committed_params() -> dict[str, Any]:
    """Return all of `params.yaml` as it was last committed."""
    return recorded_params("HEAD")


def recorded_summary(reference: str) -> Summary:
    """Return the metrics of an experiment."""
    return Summary.model_validate_json(_git("show", f"{reference}:data/summary.json"))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"git {words[0]} - expected to read an experiment - found {done.stderr.strip()[-200:]} - run it again")
    return done.stdout
