"""Stage `solve_thresholds`: class thresholds and targets from the counts of confidences (Eq. 3-4)."""

from pathlib import Path

import click

from pipeline.calibration.calibrator import read_calibrator
from pipeline.datasets.priors import read_priors
from pipeline.evaluation.distribution import describe_kl
from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.selection import write_selection
from pipeline.labeling.solve import solve_class_thresholds
from pipeline.softmax_store.quantize import CONFIDENCE_VALUES
from pipeline.softmax_store.reader import SoftmaxStore
from stages.door import EXISTING, NEW, load_params, one_line_errors, round_option


@click.command()
@round_option
@click.option("--softmax", type=EXISTING, required=True, help="Softmax store of this round.")
@click.option("--calibrator", type=EXISTING, required=True, help="Calibrator of this round.")
@click.option("--priors", type=EXISTING, required=True, help="Class priors of the labeled set.")
@click.option("--selection", type=NEW, required=True, help="Selection to write.")
@one_line_errors
def main(round_key: str, softmax: Path, calibrator: Path, priors: Path, selection: Path) -> None:
    """Solve one round's thresholds; no pixel is read."""
    params = load_params()
    read_calibrator(calibrator)
    store = SoftmaxStore(softmax)
    problem = Problem(
        counts=store.total_counts(),
        values=CONFIDENCE_VALUES,
        class_priors=read_priors(priors, store.class_names),
        labeling_ratio=params.labeling_ratio(round_key),
        equal_pixels=params.equal_pixels,
        st_confidence=params.st_confidence,
        thin=params.dars.thin,
    )
    solved = solve_class_thresholds(params.method, problem, class_names=store.class_names)
    write_selection(selection, solved, kl=describe_kl(solved.class_priors, solved.realized_counts))


if __name__ == "__main__":
    main()
