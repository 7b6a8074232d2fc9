"""Stage `pretrain`: round 0, trained on the labeled images alone (Sec. 3.1, step 1)."""

from pathlib import Path

import click

from pipeline.machine.work import open_work
from pipeline.models.build import build_network, describe_licence, weight_files
from pipeline.params import Params
from pipeline.runtime import seed_torch
from pipeline.samples.catalog import Catalog
from pipeline.samples.sample_lists import read_samples
from pipeline.training.plan import plan_pretraining
from pipeline.training.training import StepRecord, Training
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
    with open_work(params.runtime, outs=[model, curve], parameters=parameters, inputs=inputs, fresh=fresh, on_wait=echo) as work:
        if work.finished:
            return
        seed_torch(params.seed, "initial weights")
        network = build_network(params.model, classes.num_classes)
        training = Training(network, plan, runtime=params.runtime, group=work.group, folder=work.folder)
        echo(*describe_licence(network), *training.remarks)
        run_to_end(iter(training), total=training.steps, done=training.first_step, unit="step", note=StepRecord.describe_losses)
        training.write(model=model, curve=curve, model_params=params.model, protocol=protocol, catalog=classes)


if __name__ == "__main__":
    main()
