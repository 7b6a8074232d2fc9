"""Stage `evaluate`: a round's network on the validation set."""

from collections.abc import Sequence
from pathlib import Path

import click

from pipeline.evaluation.confusion import Confusion, measure_samples
from pipeline.evaluation.examples import keep_examples
from pipeline.evaluation.metrics import segmentation_metrics
from pipeline.evaluation.segmentation import tail_classes
from pipeline.evaluation.val_curve import ValCurve, build_point, spread
from pipeline.files import atomic_path
from pipeline.inference.predictor import Predictor
from pipeline.inference.protocol import describe_protocol
from pipeline.models.checkpoints import read_model
from pipeline.models.snapshots import Snapshots, snapshot_path
from pipeline.params import Params
from pipeline.runtime import prepare_device
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import sum_counts
from pipeline.samples.images import image_reader
from pipeline.samples.priors import ClassPriors
from pipeline.samples.sample_lists import Sample, read_samples
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
    classes, samples, workers = Catalog.read(catalog), read_samples(val, labels=True), params.runtime.workers
    tail = tail_classes(classes.class_names, ClassPriors.read(priors).labeled(classes.class_names), params.evaluation)
    device = prepare_device(params.runtime)

    def measure(checkpoint: Path, chosen: Sequence[Sample], kept: Path | None = None) -> Confusion:
        predictor = Predictor(read_model(checkpoint).network, params.inference, device, compiled=params.runtime.compile)
        predictions = predictor.predictions(image_reader(chosen), count=len(chosen), workers=workers)
        if kept:
            predictions = keep_examples(kept, chosen, predictions, classes, number=params.evaluation.examples)
        measured = progress(measure_samples(chosen, classes, predictions), total=len(chosen), unit="image")
        return sum_counts(measured, (classes.num_classes, classes.num_classes + 1))

    with atomic_path(examples) as folder:
        folder.mkdir()
        confusion = measure(model, samples, folder)
    protocol = describe_protocol(params.inference, data=classes.name, images=len(samples))
    segmentation_metrics(confusion, classes.class_names, tail, protocol=protocol).write(metrics)
    taken = Snapshots.read(snapshots / "snapshots.json")
    chosen = spread(samples, params.evaluation.curve_images) if taken.steps else []
    points = [build_point(step, measure(snapshot_path(snapshots, step), chosen), tail) for step in taken.steps]
    if points:
        last = confusion if len(chosen) == len(samples) else measure(model, chosen)
        points.append(build_point(taken.last_step, last, tail))
    ValCurve(images=len(chosen), points=tuple(points)).write(val_curve)


if __name__ == "__main__":
    main()
