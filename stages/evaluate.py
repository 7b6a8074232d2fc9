"""Stage `evaluate`: a round's network on the validation set, and its pseudo labels where true labels exist to measure them."""

from pathlib import Path

import click

from pipeline.evaluation.confusion import measure_samples, sum_confusions
from pipeline.evaluation.pseudo_label_quality import measure_pseudo_labels, pseudo_label_metrics
from pipeline.evaluation.segmentation import segmentation_metrics, tail_classes
from pipeline.files import atomic_path, write_json
from pipeline.inference.predictor import Predictor
from pipeline.inference.protocol import describe_protocol
from pipeline.models.checkpoints import read_model
from pipeline.params import Params
from pipeline.runtime import prepare_device
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import Shares, sum_counts
from pipeline.samples.images import read_image, write_label_png
from pipeline.samples.priors import ClassPriors
from pipeline.samples.sample_lists import read_samples
from stages.command import EXISTING, NEW, progress, stage_command


@click.command()
@click.option("--model", type=EXISTING, required=True, help="Checkpoint of the round.")
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set.")
@click.option("--priors", type=EXISTING, required=True, help="Class priors of the labeled set.")
@click.option("--val", type=EXISTING, required=True, help="List of validation samples.")
@click.option("--pseudo-labels", type=EXISTING, help="Folder of pseudo labels of the round, if it has any.")
@click.option("--unlabeled", type=EXISTING, help="List of unlabeled samples; with --pseudo-labels.")
@click.option("--truth", type=EXISTING, help="List of unlabeled samples whose labels are known; with --pseudo-labels.")
@click.option("--metrics", type=NEW, required=True, help="Metrics to write.")
@click.option(
    "--examples", type=NEW, required=True, help="Folder of predicted label PNGs to write, of the first validation images."
)
@stage_command
def main(
    params: Params, model: Path, catalog: Path, priors: Path, val: Path, pseudo_labels: Path | None, unlabeled: Path | None,
    truth: Path | None, metrics: Path, examples: Path,
) -> None:  # fmt: skip
    """Measure one round."""
    classes = Catalog.read(catalog)
    count, names = classes.num_classes, classes.class_names
    shares = ClassPriors.read(priors)
    class_priors = shares.target(names)
    tail = tail_classes(names, shares.labeled(names), params.evaluation)
    samples = read_samples(val, labels=True)
    predictor = Predictor(
        read_model(model).network, params.inference, prepare_device(params.runtime), compiled=params.runtime.compile
    )

    predictions = predictor.predictions(
        lambda index: read_image(samples[index].image), count=len(samples), workers=params.runtime.workers
    )
    confusions = measure_samples(samples, classes, predictions)
    confusion = sum_confusions(progress(confusions, total=len(samples), unit="image"), count)
    report = {
        **segmentation_metrics(confusion, names, tail),
        "tail_classes": ", ".join(name for name, rare in zip(names, tail, strict=True) if rare),
        "protocol": describe_protocol(params.inference, data=classes.name, images=len(samples)),
    }
    if pseudo_labels and unlabeled and truth:
        report["pseudo_labels"] = _measure_pseudo_labels(
            pseudo_labels, unlabeled, truth, classes, class_priors, workers=params.runtime.workers
        )
    with atomic_path(examples) as folder:
        folder.mkdir()
        for sample in samples[: params.evaluation.examples]:
            write_label_png(folder / f"{sample.image_id}.png", predictor.prediction(read_image(sample.image)), classes.colors)
    write_json(metrics, report)


def _measure_pseudo_labels(
    folder: Path, unlabeled: Path, truth: Path, classes: Catalog, class_priors: Shares, *, workers: int
) -> dict[str, object]:
    samples = read_samples(unlabeled, labels=False)
    known = {sample.image_id: sample for sample in read_samples(truth, labels=True, may_be_empty=True)}
    measured = measure_pseudo_labels(folder, samples, known, classes, workers=workers)
    pairs = list(progress(measured, total=len(samples), unit="pseudo label"))
    return pseudo_label_metrics(
        sum_counts((counts for counts, _ in pairs), classes.num_classes),
        sum_confusions((confusion for _, confusion in pairs), classes.num_classes),
        class_priors,
        classes.class_names,
        pixels=sum(sample.height * sample.width for sample in samples),
    )


if __name__ == "__main__":
    main()
