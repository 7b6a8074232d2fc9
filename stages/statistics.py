"""Stage `statistics`: what a round's pseudo labels are like, and how right, for figures and comparisons (Fig. 1, 3, 5)."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, progress, stage_command


@click.command()
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set.")
@click.option("--labeled-catalog", type=EXISTING, required=True, help="How the labels of labeled images are spelled.")
@click.option("--labeled", type=EXISTING, required=True, help="List of labeled samples.")
@click.option("--priors", type=EXISTING, required=True, help="Class shares of the labeled set.")
@click.option("--truth", type=EXISTING, required=True, help="List of unlabeled samples whose labels are known.")
@click.option("--softmax", type=EXISTING, required=True, help="Softmax store of this round.")
@click.option("--confidences", type=EXISTING, required=True, help="Confidences of this round.")
@click.option("--selection", type=EXISTING, required=True, help="Selection of this round.")
@click.option("--pseudo-labels", type=EXISTING, required=True, help="Folder of this round's pseudo labels.")
@click.option("--statistics", type=NEW, required=True, help="Statistics to write.")
@stage_command
def main(
    params: Params,
    catalog: Path, labeled_catalog: Path, labeled: Path, priors: Path, truth: Path, softmax: Path, confidences: Path,
    selection: Path, pseudo_labels: Path, statistics: Path,
) -> None:  # fmt: skip
    """Describe one round's pseudo labels."""
    from pipeline.samples.catalog import Catalog
    from pipeline.samples.priors import ClassPriors
    from pipeline.samples.sample_lists import read_samples
    from pipeline.selection import Selection
    from pipeline.softmax_store.reader import ConfidenceStore, SoftmaxStore
    from pipeline.statistics.classes import appearance, count_label_files, seen_area
    from pipeline.statistics.describe import describe_round
    from pipeline.statistics.judge import count_pseudo_labels

    classes, workers, crops = Catalog.read(catalog), params.runtime.workers, params.augmentation
    store = ConfidenceStore(confidences)
    samples = read_samples(labeled, labels=True)
    counted = count_label_files(samples, Catalog.read(labeled_catalog), long_side=crops.long_side, workers=workers)
    frequencies, sizes = appearance(
        progress(counted, total=len(samples), unit="labeled image"),
        classes.num_classes,
        crop_area=seen_area(crop=(crops.crop_height, crops.crop_width), scales=(crops.scale_min, crops.scale_max)),
    )
    known = read_samples(truth, labels=True, may_be_empty=True)
    describe_round(
        Selection.read(selection),
        count_pseudo_labels(pseudo_labels, store, known, classes, workers=workers, progress=progress),
        dtype=store.precision.dtype,
        counts=store.total_counts(workers=workers),
        values=store.precision.values,
        ties=SoftmaxStore(softmax).total_ties(),
        labeled_shares=ClassPriors.read(priors).labeled(classes.class_names),
        frequencies=frequencies,
        sizes=sizes,
    ).write(statistics)


if __name__ == "__main__":
    main()
