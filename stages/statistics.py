"""Stage `statistics`: what a round's pseudo labels are like, for figures and comparisons (Fig. 1, 3, 5)."""

from pathlib import Path

import click

from pipeline.params import Params
from pipeline.samples.catalog import Catalog
from pipeline.samples.priors import ClassPriors
from pipeline.samples.sample_lists import read_samples
from pipeline.selection import Selection
from pipeline.softmax_store.reader import ConfidenceStore, SoftmaxStore
from pipeline.statistics.classes import appearance
from pipeline.statistics.images import count_labeled, hold_against_truth, sum_truth
from pipeline.statistics.round_statistics import describe_round
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
    workers, crop = params.runtime.workers, params.augmentation
    classes = Catalog.read(catalog)
    store = ConfidenceStore(confidences)
    samples = read_samples(labeled, labels=True)
    counted = count_labeled(samples, Catalog.read(labeled_catalog), workers=workers)
    labeled_counts = progress(counted, total=len(samples), unit="labeled image")
    frequencies, sizes = appearance(labeled_counts, classes.num_classes, crop_area=crop.crop_height * crop.crop_width)
    known = read_samples(truth, labels=True, may_be_empty=True)
    held = hold_against_truth(known, pseudo_labels, store.image_ids, store.prediction, classes, workers=workers)
    confusion, regions = sum_truth(progress(held, total=len(known), unit="known image"), classes.num_classes)
    described = describe_round(
        Selection.read(selection), dtype=store.precision.dtype, counts=store.total_counts(), values=store.precision.values,
        ties=SoftmaxStore(softmax).total_ties(), labeled_shares=ClassPriors.read(priors).labeled(classes.class_names),
        frequencies=frequencies, sizes=sizes, confusion=confusion, regions=regions,
    )  # fmt: skip
    described.write(statistics)


if __name__ == "__main__":
    main()
