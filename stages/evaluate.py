"""Stage `evaluate`: a round's network on the validation set."""

from functools import partial
from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, progress, stage_command


@click.command()
@click.option("--model", type=EXISTING, required=True, help="Checkpoint of the round.")
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set.")
@click.option("--priors", type=EXISTING, required=True, help="Class shares of the labeled set: they say which class is rare.")
@click.option("--val", type=EXISTING, required=True, help="List of validation samples.")
@click.option("--metrics", type=NEW, required=True, help="Measures to write.")
@click.option("--examples", type=NEW, required=True, help="Folder to write predicted labels of the first validation images to.")
@click.option("--snapshots", type=EXISTING, required=True, help="Folder of checkpoints on the way of the round's training.")
@click.option("--val-curve", type=NEW, required=True, help="Measures of these to write.")
@stage_command
def main(
    params: Params,
    model: Path, catalog: Path, priors: Path, val: Path, metrics: Path, examples: Path, snapshots: Path, val_curve: Path,
) -> None:  # fmt: skip
    """Measure one network, and those that it was on its way."""
    from pipeline.evaluation.confusion import measure_samples
    from pipeline.evaluation.examples import keep_examples
    from pipeline.evaluation.metrics import segmentation_metrics
    from pipeline.evaluation.segmentation import tail_classes
    from pipeline.evaluation.val_curve import measure_curve, spread
    from pipeline.files import atomic_path
    from pipeline.inference.predict_samples import predict_samples
    from pipeline.inference.protocol import describe_protocol
    from pipeline.models.snapshots import Snapshots
    from pipeline.samples.catalog import Catalog
    from pipeline.samples.priors import ClassPriors
    from pipeline.samples.sample_lists import read_samples

    classes, samples = Catalog.read(catalog), read_samples(val, labels=True)
    tail = tail_classes(classes.class_names, ClassPriors.read(priors).labeled(classes.class_names), params.evaluation)
    taken = Snapshots.read(snapshots / "snapshots.json").checkpoints(snapshots, last=model)
    chosen = spread(samples, params.evaluation.curve_images) if taken else []
    predict = partial(predict_samples, params=params.inference, runtime=params.runtime)
    with atomic_path(examples) as folder:
        folder.mkdir()
        kept = keep_examples(folder, samples, predict(model, samples), classes, number=params.evaluation.examples)
        confusion = measure_samples(samples, classes, kept, progress=progress)
    protocol = describe_protocol(params.inference, data=classes.name, images=len(samples))
    segmentation_metrics(confusion, classes.class_names, tail, protocol=protocol).write(metrics)
    known = {model: confusion} if len(chosen) == len(samples) else {}
    measure_curve(taken, chosen, predict, classes, tail, known=known, progress=progress).write(val_curve)


if __name__ == "__main__":
    main()
