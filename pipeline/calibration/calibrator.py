"""The calibrator of a round as a file."""

from pathlib import Path

from pipeline.files import read_json, write_json

METHODS = ("none",)


def write_calibrator(path: Path, method: str) -> None:
    """Write which calibrator is in use; `none` has no parameters.

    Raises:
        ValueError: there is no such calibrator.
    """
    if method not in METHODS:
        raise ValueError(f"params.yaml - calibration - expected one of {', '.join(METHODS)} - found {method} - correct it")
    write_json(path, {"method": method})


def read_calibrator(path: Path) -> str:
    """Read what `write_calibrator` wrote.

    Raises:
        ValueError: missing, damaged, or a calibrator that this version does not know.
    """
    tree = read_json(path)
    method = tree.get("method") if isinstance(tree, dict) else None
    if method not in METHODS:
        raise ValueError(
            f"{path} - expected a calibrator among {', '.join(METHODS)} - found {method} - run the stage `calibrate`"
        )
    return str(method)
