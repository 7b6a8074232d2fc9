"""Stage `evaluate`: a round's network on the validation set."""

from pathlib import Path

import click

from pipeline.evaluation.confusion import measure_samples
from pipeline.evaluation.examples import keep_examples
from pipeline.evaluation.metrics import segmentation_metrics
from pipeline.evaluation.segmentation import tail_classes
from pipeline.files import atomic_path
from pipeline.inference.predictor import Predictor
from pipeline.inference.protocol import describe_protocol
from pipeline.models.checkpoints import read_model
from pipeline.params import Params
from pipeline.runtime import prepare_device
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import sum_counts
from pipeline.samples.images import image_reader
from pipeline.samples.priors import ClassPriors
from pipeline.samples.sample_lists import read_samples
from stages.command import EXISTING, NEW, progress, stage_command


@click.command()
@click.option("--model", type=EXISTING, required=True, help="Checkpoint of the round.")
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set.")
@click.option("--priors", type=EXISTING, required=True, help="Class shares of the labeled set: they say which class is rare.")
@click.option("--val", type=EXISTING, required=True, help="List of validation samples.")
@click.option("--metrics", type=NEW, required=True, help="Measures to write.")
@click.option("--examples", type=NEW, required=True, help="Folder to write predicted labels of the first validation images to.")
@stage_command
def main(params: Params, model: Path, catalog: Path, priors: Path, val: Path, metrics: Path, examples: Path) -> None:
    """Measure one network."""
    classes, samples, workers = Catalog.read(catalog), read_samples(val, labels=True), params.runtime.workers
    tail = tail_classes(classes.class_names, ClassPriors.read(priors).labeled(classes.class_names), params.evaluation)
    network, device = read_model(model).network, prepare_device(params.runtime)
    predictor = Predictor(network, params.inference, device, compiled=params.runtime.compile)
    with atomic_path(examples) as folder:
        folder.mkdir()
        predictions = predictor.predictions(image_reader(samples), count=len(samples), workers=workers)
        kept = keep_examples(folder, samples, predictions, classes, number=params.evaluation.examples)
        measured = progress(measure_samples(samples, classes, kept), total=len(samples), unit="image")
        confusion = sum_counts(measured, (classes.num_classes, classes.num_classes + 1))
    protocol = describe_protocol(params.inference, data=classes.name, images=len(samples))
    segmentation_metrics(confusion, classes.class_names, tail, protocol=protocol).write(metrics)


if __name__ == "__main__":
    main()
