"""The selection of a round: which pixels qualify, how many are drawn, and what comes of it; `selection.json`."""

from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.files import read_json, write_json

Floats = tuple[float, ...]
Counts = tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """Thresholds, targets and rates of one round; every tuple is (C,).

    Attributes:
        method: labeling method.
        class_names: names, index = train id.
        num_pixels: all unlabeled pixels, P.
        class_priors: shares of the classes in the labeled set, sum to 1.
        class_thresholds: a pixel predicted as class j qualifies when its stored confidence is at least this; None: no pixel does.
        keep_thresholds: at or above, a pixel is kept for certain; None: every qualifying pixel stands in the draw.
        sampling_rates: realized over qualifying pixels (s_j of Algorithm 1); 0 where none qualifies.
        targets: pixels that the method means to label (n_j).
        predicted_counts: pixels predicted as class j (m_j).
        qualifying_counts: pixels that qualify.
        draws: pixels drawn at random among those that qualify and are not kept for certain.
        realized_counts: pixels labeled.
        shortfalls: targets not met because too few pixels are predicted as class j.
        labeling_ratio: alpha as asked for.
        realized_ratio: labeled over all unlabeled pixels.
        alpha_max: the largest ratio at which alignment leaves no shortfall; above 1 every ratio can be served.
    """

    method: str
    class_names: tuple[str, ...]
    num_pixels: int
    class_priors: Floats
    class_thresholds: tuple[float | None, ...]
    keep_thresholds: tuple[float | None, ...]
    sampling_rates: Floats
    targets: Counts
    predicted_counts: Counts
    qualifying_counts: Counts
    draws: Counts
    realized_counts: Counts
    shortfalls: Counts
    labeling_ratio: float
    realized_ratio: float
    alpha_max: float


def write_selection(path: Path, selection: Selection, *, kl: dict[str, object]) -> None:
    """Write a selection as JSON, with the distance between its class distribution and the priors beside it."""
    write_json(path, {**asdict(selection), "kl": kl})


def read_selection(path: Path) -> Selection:
    """Read what `write_selection` wrote.

    Raises:
        ValueError: missing, no JSON, or not a selection.
    """
    tree = read_json(path)
    try:
        selection: Selection = TypeAdapter(Selection).validate_python(tree, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path} - expected a selection - {key}: {first['msg']} - run the stage `solve_thresholds`") from error
    lengths = {name: len(value) for name, value in vars(selection).items() if isinstance(value, tuple)}
    if wrong := [name for name, length in lengths.items() if length != len(selection.class_names)]:
        raise ValueError(
            f"{path} - expected {wrong[0]} for {len(selection.class_names)} classes - found {lengths[wrong[0]]}"
            " - run the stage `solve_thresholds`"
        )
    return selection
