"""Stage `pretrain`: round 0, trained on the labeled images alone (Sec. 3.1, step 1)."""

from functools import partial
from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, echo, fresh_option, parallel_stage_command, run_to_end


@click.command()
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set.")
@click.option("--labeled", type=EXISTING, required=True, help="List of labeled samples.")
@click.option("--model", type=NEW, required=True, help="Checkpoint to write.")
@click.option("--curve", type=NEW, required=True, help="Training curve to write.")
@click.option("--snapshots", type=NEW, required=True, help="Folder of checkpoints on the way to write.")
@fresh_option
@parallel_stage_command
def main(params: Params, catalog: Path, labeled: Path, model: Path, curve: Path, snapshots: Path, *, fresh: bool) -> None:
    """Train round 0; goes on where an interrupted run stopped."""
    from pipeline.machine.work import open_work
    from pipeline.models.build import build_network, describe_licence, weight_files
    from pipeline.models.checkpoints import write_model
    from pipeline.runtime import seed_torch
    from pipeline.samples.catalog import Catalog
    from pipeline.samples.sample_lists import read_samples
    from pipeline.training.plan import plan_pretraining
    from pipeline.training.training import StepRecord, Training

    classes = Catalog.read(catalog)
    samples = read_samples(labeled, labels=True)
    plan = plan_pretraining(samples, classes, params.pretrain, params.training, params.augmentation, seed=params.seed)
    protocol = params.inference.protocol
    parameters = {
        **plan.parameters(),
        "model": params.model.model_dump(mode="json"),
        "protocol": protocol.model_dump(mode="json"),
    }
    inputs = [catalog, labeled, *weight_files(params.model)]
    outs = [model, curve, snapshots]
    with open_work(params.runtime, outs=outs, parameters=parameters, inputs=inputs, fresh=fresh, on_wait=echo) as work:
        if work.finished:
            return
        seed_torch(params.seed, "initial weights")
        network = build_network(params.model, classes.num_classes)
        names, colors = classes.class_names, classes.colors
        save = partial(write_model, model_params=params.model, protocol=protocol, class_names=names, colors=colors)
        training = Training(network, plan, runtime=params.runtime, group=work.group, folder=work.folder, save=save)
        echo(*describe_licence(network), *training.remarks)
        run_to_end(iter(training), total=training.steps, done=training.first_step, unit="step", note=StepRecord.describe_losses)
        training.write(model=model, curve=curve, snapshots=snapshots)


if __name__ == "__main__":
    main()
