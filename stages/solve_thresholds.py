"""Stage `solve_thresholds`: class thresholds and targets from the counts of confidences (Eq. 3-4)."""

from pathlib import Path

import click

from pipeline.divergence import divergence
from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.refine import refine, threshold_columns
from pipeline.labeling.solve import solve_class_thresholds
from pipeline.machine.parallel import map_ordered
from pipeline.params import Params
from pipeline.samples.class_frequencies import sum_counts
from pipeline.samples.priors import read_priors
from pipeline.selection import write_selection
from pipeline.softmax_store.reader import ConfidenceStore
from stages.command import EXISTING, NEW, progress, round_option, stage_command


@click.command()
@round_option
@click.option("--confidences", type=EXISTING, required=True, help="Confidences of this round.")
@click.option("--priors", type=EXISTING, required=True, help="Class priors of the labeled set.")
@click.option("--selection", type=NEW, required=True, help="Selection to write.")
@stage_command
def main(params: Params, round_key: str, confidences: Path, priors: Path, selection: Path) -> None:
    """Solve one round's thresholds; pixels are read only where confidences are float32, once."""
    store = ConfidenceStore(confidences)
    problem = Problem(
        counts=store.total_counts(),
        values=store.precision.values,
        class_priors=read_priors(priors, store.class_names),
        labeling_ratio=params.labeling_ratio(round_key),
        equal_pixels=params.equal_pixels,
        st_confidence=params.st_confidence,
        thin=params.dars.thin,
    )
    if store.precision.finer_columns > 1:
        columns = threshold_columns(params.method, problem)
        images = range(len(store.image_ids))
        finer = map_ordered(lambda index: store.finer_counts(index, columns), images, workers=params.runtime.workers)
        total = sum_counts(progress(finer, total=len(images), unit="image"), (store.num_classes, store.precision.finer_columns))
        problem = refine(problem, columns, total)
    solved = solve_class_thresholds(params.method, problem, class_names=store.class_names)
    kl = divergence(solved.class_priors, solved.realized_counts)
    write_selection(selection, solved, kl=kl.model_dump(mode="json"))


if __name__ == "__main__":
    main()
