"""What a floor of the softmax store does to each calibrator: `python -m tests.calibration.floors` prints the table.

19 classes, calibrated by construction: labels are drawn from softmax(scores / T) with T = 1.27, predictions are softmax(scores).
Where `params.yaml` may not combine a calibrator and a floor, the row says so and shows what it would do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.calibration.calibration_error import calibration_errors, measure_reliability
from pipeline.calibration.calibrator import FIT, Calibrator
from pipeline.calibration.none import NoCalibration
from pipeline.calibration.pixels import FittingPixels
from pipeline.calibration.temperature import Temperature
from pipeline.inference.quantize import quantize
from pipeline.params import Params
from pipeline.schema import read_yaml
from tests.workspace import ROOT

CLASSES = 19
TEMPERATURE = 1.27
FLOORS = (0.0, 1e-4, 1e-3)
METHODS = ("none", *FIT)
SIDE = 400
"""Pixels of a side of the two square images: one to fit on, one to measure on."""
ASKED = 0.2
"""Share of the pixels that ST is asked for."""


@dataclass(frozen=True)
class Outcome:
    """One calibrator at one floor; `labeled` is the share of pixels that ST labels where it is asked for `ASKED`."""

    allowed: bool
    temperature: float | None
    ece_before: float
    ece_after: float
    ones_before: float
    ones_after: float
    labeled: float


def draw(seed: int, side: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return (C, side, side) probabilities and (side, side) labels."""
    rng = np.random.default_rng(seed)
    # Steep enough that a third of the pixels rounds to 1 in float16, as with a trained network.
    scores = rng.normal(0, 3.0, (side * side, CLASSES)) + 14 * np.eye(CLASSES)[rng.integers(0, CLASSES, side * side)] * rng.beta(
        2, 1, (side * side, 1)
    )
    edges = softmax(scores / TEMPERATURE).cumsum(axis=1)
    labels = (rng.random((len(scores), 1)) > edges).sum(axis=1).clip(max=CLASSES - 1)
    return softmax(scores).T.reshape(CLASSES, side, side).astype(np.float32), labels.reshape(side, side).astype(np.uint8)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return result


def allowed(method: str, floor: float) -> bool:
    """Tell whether `params.yaml` may combine the two."""
    tree = read_yaml(ROOT / "params.yaml")
    tree["data"]["holdout_fraction"] = 0.2
    tree |= {"calibration": method, "softmax_store": {**tree["softmax_store"], "floor": floor}}
    try:
        Params.model_validate(tree)
    except ValidationError as error:
        return "softmax_store.floor" not in str(error)
    return True


def measure(method: str, floor: float, *, side: int = SIDE) -> Outcome:
    """Fit on one image as the store holds it, and apply to another."""
    (fitting, known), (seen, labels) = draw(0, side), draw(1, side)
    stored_entry = quantize(seen, floor=floor, dtype="float16", keep="all")
    fitting, stored = quantize(fitting, floor=floor, dtype="float16", keep="all").softmax, stored_entry.softmax
    pixels = FittingPixels(fitting.reshape(CLASSES, -1).T.astype(np.float32), known.ravel().astype(np.int64))
    fitted: Calibrator = NoCalibration() if method == "none" else FIT[method](pixels, 15)
    after = fitted.calibrate(stored)
    entry = stored_entry if method == "none" else quantize(after, floor=0.0, dtype="float16", keep="all")
    confidences = np.sort(entry.confidence.ravel())[::-1]
    threshold = confidences[round(ASKED * confidences.size) - 1]
    errors = [calibration_errors(measure_reliability(probs, labels, ignore_index=255)).ece for probs in (stored, after)]
    return Outcome(
        allowed=allowed(method, floor),
        temperature=fitted.temperature if isinstance(fitted, Temperature) else None,
        ece_before=errors[0],
        ece_after=errors[1],
        ones_before=float((stored.max(axis=0) == 1).mean()),
        ones_after=float((entry.confidence == 1).mean()),
        labeled=float((confidences >= threshold).mean()),
    )


def table() -> str:
    """Return a row for each calibrator and floor, in Markdown."""
    lines = [
        f"| calibrator | floor | params.yaml | fitted T (true: {TEMPERATURE}) | ECE before | after | confidence 1 before | after"
        f" | ST asked for {ASKED:.0%} labels |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        for floor in FLOORS:
            found = measure(method, floor)
            shares = (f"{value:.1%}" for value in (found.ones_before, found.ones_after, found.labeled))
            temperature = "" if found.temperature is None else f"{found.temperature:.3f}"
            errors = f"{found.ece_before:.4f} | {found.ece_after:.4f}"
            verdict = "takes it" if found.allowed else "refused"
            lines.append(f"| `{method}` | {floor:g} | {verdict} | {temperature} | {errors} | {' | '.join(shares)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201
