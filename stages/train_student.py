"""Stage `train_student`: a round k >= 1 of self-training on labeled and pseudo-labeled images (Sec. 3.1, step 3)."""

from pathlib import Path

import click

from pipeline.curve import Row, write_curve
from pipeline.machine.work import open_work
from pipeline.models.checkpoints import read_model, write_model
from pipeline.params import Params
from pipeline.samples.catalog import read_catalog
from pipeline.samples.sample_lists import read_samples
from pipeline.selection import read_selection
from pipeline.training.loop import Course
from pipeline.training.run import run_training
from pipeline.training.schedules import count_steps
from pipeline.training.training_set import TrainingSet
from pipeline.transforms.draws import scale_range
from stages.command import EXISTING, NEW, echo, fresh_option, parallel_stage_command, round_option, run_to_end


@click.command()
@round_option
@click.option("--teacher", type=EXISTING, required=True, help="Checkpoint that the student starts from.")
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set.")
@click.option("--labeled", type=EXISTING, required=True, help="List of labeled samples.")
@click.option("--unlabeled", type=EXISTING, required=True, help="List of unlabeled samples.")
@click.option("--selection", type=EXISTING, required=True, help="What was selected in this round.")
@click.option("--pseudo-labels", type=EXISTING, required=True, help="Folder of pseudo labels.")
@click.option("--model", type=NEW, required=True, help="Checkpoint to write.")
@click.option("--curve", type=NEW, required=True, help="Training curve to write.")
@fresh_option
@parallel_stage_command
def main(
    params: Params,
    round_key: str, teacher: Path, catalog: Path, labeled: Path, unlabeled: Path, selection: Path, pseudo_labels: Path,
    model: Path, curve: Path, *, fresh: bool,
) -> None:  # fmt: skip
    """Train the student of one round; goes on where an interrupted run stopped."""
    section = params.round(round_key)
    classes = read_catalog(catalog)
    sets = [TrainingSet("labeled", read_samples(labeled, labels=True), params.student.labeled_batch_size, classes)]
    unlabeled_set = TrainingSet(
        "unlabeled", read_samples(unlabeled, labels=False), params.student.unlabeled_batch_size, classes, pseudo_labels
    )
    # The length is that of a training with pseudo labels also where there are none: the control runs at equal steps.
    steps = count_steps(params.student, images=len(unlabeled_set.samples), batch_size=unlabeled_set.batch_size)
    if sum(read_selection(selection).realized_counts):
        sets.append(unlabeled_set)
    stretched = params.student.learning_rate_schedule == "stretch"
    betas = {"beta_min": section.beta_min, "beta_max": section.beta_max}
    sections = (
        params.model_dump(mode="json", include={"seed", "training", "augmentation", "student"}) | betas | {"round": round_key}
    )
    inputs = [teacher, catalog, labeled, unlabeled, selection, pseudo_labels]
    with open_work(params.runtime, outs=[model, curve], parameters=sections, inputs=inputs, fresh=fresh, on_wait=echo) as work:
        if work.finished:
            return
        checkpoint = read_model(teacher)
        if checkpoint.class_names != classes.class_names:
            raise ValueError(
                f"{teacher} - expected the classes of {catalog} - found {', '.join(checkpoint.class_names)} - run `pretrain`"
            )
        rows: list[Row] = []
        done = run_training(
            checkpoint.network,
            sets,
            Course(
                steps=steps,
                seed=params.seed,
                round_key=round_key,
                rounds_before=params.depth(round_key) if stretched else 0,
            ),
            training=params.training,
            augmentation=params.augmentation,
            scales=scale_range(params.augmentation, **betas),
            runtime=params.runtime,
            group=work.group,
            folder=work.folder,
            curve=rows,
        )
        run_to_end(done, total=steps, unit="step")
        if not work.group.is_first:
            return
        write_curve(curve, rows)
        write_model(
            model,
            checkpoint.network,
            model_params=checkpoint.model_params,
            class_names=classes.class_names,
            colors=classes.colors,
        )


if __name__ == "__main__":
    main()
