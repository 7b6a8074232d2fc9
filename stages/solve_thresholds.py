"""Stage `solve_thresholds`: class thresholds and targets from the counts of confidences (Eq. 3-4)."""

from dataclasses import replace
from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, echo, progress, round_option, stage_command


@click.command()
@round_option
@click.option("--confidences", type=EXISTING, required=True, help="Confidences of this round.")
@click.option("--priors", type=EXISTING, required=True, help="Class shares that pseudo labels are aligned with.")
@click.option("--selection", type=NEW, required=True, help="Selection to write.")
@stage_command
def main(params: Params, round_key: str, confidences: Path, priors: Path, selection: Path) -> None:
    """Solve one round's thresholds."""
    from pipeline.labeling.automatic_ratio import choose_ratio
    from pipeline.labeling.class_thresholds import Problem
    from pipeline.labeling.refine import solve_round
    from pipeline.labeling.solve import check_labels
    from pipeline.randomness import keyed_generator
    from pipeline.samples.priors import ClassPriors, perturb, shrink
    from pipeline.softmax_store.reader import ConfidenceStore

    store = ConfidenceStore(confidences)
    ratio = params.labeling_ratio(round_key)
    counts = store.total_counts(workers=params.runtime.workers)
    known = ClassPriors.read(priors).target(store.class_names)
    wanted = perturb(known, params.prior_noise, keyed_generator(params.seed, "wrong priors"))
    problem = Problem(
        counts=counts,
        values=store.precision.values,
        class_priors=shrink(wanted, counts, params.prior_shrinkage),
        labeling_ratio=1.0 if ratio == "auto" else ratio,
        equal_pixels=params.equal_pixels,
        st_confidence=params.st_confidence,
        thin=params.dars.thin,
    )
    if ratio == "auto" and params.method != "none":
        chosen, choice = choose_ratio(params.method, problem, params.auto_alpha, class_names=store.class_names)
        problem = replace(problem, labeling_ratio=chosen, ratio_choice=choice)
        echo(f"alpha {chosen:.4g} by the rule {choice.rule}: {choice.limit}")
    solved = solve_round(store, params.method, problem, workers=params.runtime.workers, progress=progress)
    if collapse := solved.describe_collapse():
        if params.unpredicted_classes == "refuse":
            raise ValueError(f"{confidences} - expected predictions of every class - found that {collapse}")
        echo(f"warning: {collapse}")
    check_labels(solved)
    solved.write(selection)


if __name__ == "__main__":
    main()
