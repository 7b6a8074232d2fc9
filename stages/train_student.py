"""Stage `train_student`: a round k >= 1 of self-training on labeled and pseudo-labeled images (Sec. 3.1, step 3)."""

from functools import partial
from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, echo, fresh_option, parallel_stage_command, round_option, run_to_end


@click.command()
@round_option
@click.option(
    "--teacher", type=EXISTING, required=True, help="Checkpoint that the student starts from, unless the round names a model."
)
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set.")
@click.option("--labeled", type=EXISTING, required=True, help="List of labeled samples.")
@click.option("--unlabeled", type=EXISTING, required=True, help="List of unlabeled samples.")
@click.option("--selection", type=EXISTING, required=True, help="What was selected in this round.")
@click.option("--pseudo-labels", type=EXISTING, required=True, help="Folder of pseudo labels.")
@click.option("--model", type=NEW, required=True, help="Checkpoint to write.")
@click.option("--curve", type=NEW, required=True, help="Training curve to write.")
@click.option("--snapshots", type=NEW, required=True, help="Folder of checkpoints on the way to write.")
@fresh_option
@parallel_stage_command
def main(
    params: Params,
    round_key: str, teacher: Path, catalog: Path, labeled: Path, unlabeled: Path, selection: Path, pseudo_labels: Path,
    model: Path, curve: Path, snapshots: Path, *, fresh: bool,
) -> None:  # fmt: skip
    """Train the student of one round; goes on where an interrupted run stopped."""
    from pipeline.machine.work import open_work
    from pipeline.models.build import build_network, describe_licence, weight_files
    from pipeline.models.checkpoints import read_model, write_model
    from pipeline.runtime import seed_torch
    from pipeline.samples.catalog import Catalog
    from pipeline.samples.sample_lists import read_samples
    from pipeline.selection import Selection
    from pipeline.training.plan import plan_student
    from pipeline.training.training import StepRecord, Training
    from pipeline.transforms.draws import scale_range

    section = params.round(round_key)
    classes = Catalog.read(catalog)
    plan = plan_student(
        read_samples(labeled, labels=True),
        read_samples(unlabeled, labels=False),
        classes,
        params.student,
        params.training,
        params.augmentation,
        params.strong_views,
        pseudo_labels=pseudo_labels,
        selected_pixels=sum(Selection.read(selection).realized_counts),
        scales=scale_range(params.augmentation, beta_min=section.beta_min, beta_max=section.beta_max),
        strength=section.strength,
        seed=params.seed,
        round_key=round_key,
        depth=params.depth(round_key),
    )
    own, protocol = params.own_model(round_key), params.inference.protocol
    sections = {"model": own and own.model_dump(mode="json"), "protocol": protocol.model_dump(mode="json")}
    inputs = [teacher, catalog, labeled, unlabeled, selection, pseudo_labels, *(weight_files(own) if own else [])]
    outs, known = [model, curve, snapshots], plan.parameters() | sections
    with open_work(params.runtime, outs=outs, parameters=known, inputs=inputs, fresh=fresh, on_wait=echo) as work:
        if work.finished:
            return
        checkpoint = read_model(teacher)
        if checkpoint.class_names != classes.class_names:
            raise ValueError(
                f"{teacher} - expected the classes of {catalog} - found {', '.join(checkpoint.class_names)} - run `pretrain`"
            )
        network, model_params = checkpoint.network, checkpoint.model_params
        if own:
            seed_torch(params.seed, "initial weights", round_key)
            network, model_params = build_network(own, classes.num_classes), own
            echo(*describe_licence(network))
        names, colors = classes.class_names, classes.colors
        save = partial(write_model, model_params=model_params, protocol=protocol, class_names=names, colors=colors)
        training = Training(network, plan, runtime=params.runtime, group=work.group, folder=work.folder, save=save)
        echo(*training.remarks)
        run_to_end(iter(training), total=training.steps, done=training.first_step, unit="step", note=StepRecord.describe_losses)
        training.write(model=model, curve=curve, snapshots=snapshots)


if __name__ == "__main__":
    main()
