"""Stage `pretrain`: round 0, a network trained on the labeled images alone (Sec. 3.1, step 1)."""

from pathlib import Path

import click

from pipeline.curve import Row, write_curve
from pipeline.machine.work import open_work
from pipeline.models.build import build_network, weight_files
from pipeline.models.checkpoints import write_model
from pipeline.params import Params
from pipeline.runtime import seed_torch
from pipeline.samples.catalog import read_catalog
from pipeline.samples.sample_lists import read_samples
from pipeline.training.loop import Course
from pipeline.training.run import run_training
from pipeline.training.schedules import count_steps
from pipeline.training.training_set import TrainingSet
from stages.command import EXISTING, NEW, echo, fresh_option, parallel_stage_command, run_to_end


@click.command()
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set.")
@click.option("--labeled", type=EXISTING, required=True, help="List of labeled samples.")
@click.option("--model", type=NEW, required=True, help="Checkpoint to write.")
@click.option("--curve", type=NEW, required=True, help="Training curve to write.")
@fresh_option
@parallel_stage_command
def main(params: Params, catalog: Path, labeled: Path, model: Path, curve: Path, *, fresh: bool) -> None:
    """Train round 0; goes on where an interrupted run stopped."""
    classes = read_catalog(catalog)
    labeled_set = TrainingSet("labeled", read_samples(labeled, labels=True), params.pretrain.batch_size, classes)
    steps = count_steps(params.pretrain, images=len(labeled_set.samples), batch_size=labeled_set.batch_size)
    sections = params.model_dump(mode="json", include={"seed", "model", "training", "augmentation", "pretrain"})
    inputs = [catalog, labeled, *weight_files(params.model)]
    with open_work(params.runtime, outs=[model, curve], parameters=sections, inputs=inputs, fresh=fresh, on_wait=echo) as work:
        if work.finished:
            return
        seed_torch(params.seed, "initial weights")
        network = build_network(params.model, classes.num_classes)
        rows: list[Row] = []
        done = run_training(
            network,
            [labeled_set],
            Course(steps=steps, seed=params.seed, round_key="0"),
            training=params.training,
            augmentation=params.augmentation,
            scales=(params.augmentation.scale_min, params.augmentation.scale_max),
            runtime=params.runtime,
            group=work.group,
            folder=work.folder,
            curve=rows,
        )
        run_to_end(done, total=steps, unit="step")
        if not work.group.is_first:
            return
        write_curve(curve, rows)
        write_model(model, network, model_params=params.model, class_names=classes.class_names, colors=classes.colors)


if __name__ == "__main__":
    main()
