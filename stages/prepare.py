"""Stage `prepare`: find or draw the data set, check every file, split it, count the labeled classes."""

from pathlib import Path

import click

from pipeline.datasets.check import check_samples
from pipeline.datasets.find import find_data_set, find_source
from pipeline.datasets.splits import build_split
from pipeline.datasets.target_priors import target_priors
from pipeline.files import atomic_path
from pipeline.params import Params
from pipeline.samples.catalog import write_catalog
from pipeline.samples.class_frequencies import check_pixels, sum_counts
from pipeline.samples.priors import write_priors
from pipeline.samples.sample_lists import unlabeled_view, write_ids, write_samples
from stages.command import EXISTING, NEW, echo, progress, stage_command


@click.command()
@click.option("--lists", type=EXISTING, required=True, help="Folder of the user's own lists of image ids.")
@click.option("--out", type=NEW, required=True, help="Folder for catalog, lists, priors and drawn images.")
@stage_command
def main(params: Params, lists: Path, out: Path) -> None:
    """Turn a raw data set into checked sample lists."""
    workers = params.runtime.workers
    with atomic_path(out) as folder:
        folder.mkdir()
        echo(f"finding or drawing the images of {params.data.name}")
        data_set = find_data_set(params.data, drawn=folder)
        source = find_source(params.data, data_set, drawn=folder)
        split = build_split(data_set, source, params.data, lists=lists, seed=params.seed)
        names, count = data_set.catalog.class_names, data_set.catalog.num_classes
        # Two, because the labeled images of another data set spell their labels in their own way.
        write_catalog(folder / "catalog.json", data_set.catalog)
        write_catalog(folder / "labeled_catalog.json", source.catalog)
        pixels = {}
        for name, origin, image_ids in (
            ("labeled", source, split.labeled),
            ("holdout", source, split.holdout),
            ("unlabeled", data_set, split.unlabeled),
            ("val", data_set, split.val),
        ):
            checked = check_samples(origin, image_ids, labels_required=name != "unlabeled", workers=workers)
            pairs = list(progress(checked, total=len(image_ids), unit=f"{name} images"))
            samples = [sample.moved(folder, out) for sample, _ in pairs]
            pixels[name] = sum_counts((counts for _, counts in pairs), count)
            if name != "unlabeled" and image_ids:
                check_pixels(pixels[name], where=f"{name} images")
            if name == "unlabeled":
                # Where label files exist they serve to measure pseudo labels; the list that trains does not know them.
                write_samples(folder / "unlabeled_truth.tsv", [sample for sample in samples if sample.labels])
                samples = [unlabeled_view(sample) for sample in samples]
            write_ids(folder / f"{name}.txt", image_ids)
            write_samples(folder / f"{name}.tsv", samples)
        labeled = pixels["labeled"] + pixels["holdout"]
        target = target_priors(params.data.priors, data_set, labeled=labeled, val=pixels["val"], lists=lists, workers=workers)
        write_priors(folder / "class_priors.json", names, labeled=labeled, target=target, origin=params.data.priors)
        echo(f"{len(split.labeled)} labeled, {len(split.unlabeled)} unlabeled, {len(split.val)} validation images")
        if not split.unlabeled:
            echo("no image is left unlabeled: fine for round 0 alone, but rounds of self-training will stop at `infer`")
        if absent := [name for name, pixel_count in zip(names, labeled.tolist(), strict=True) if not pixel_count]:
            echo(f"no labeled pixel shows {', '.join(absent)}: a network can hardly learn that")


if __name__ == "__main__":
    main()
