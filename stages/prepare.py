"""Stage `prepare`: find or draw the data set, check every file, split it, count the labeled classes."""

from pathlib import Path

import click

from pipeline.datasets.catalog import write_catalog
from pipeline.datasets.check import check_samples
from pipeline.datasets.class_frequencies import sum_counts, write_priors
from pipeline.datasets.find import find_source
from pipeline.datasets.samples import unlabeled_view, write_ids, write_samples
from pipeline.datasets.splits import build_split
from pipeline.files import atomic_path
from stages.door import EXISTING, NEW, load_params, one_line_errors, progress, say


@click.command()
@click.option("--lists", type=EXISTING, required=True, help="Folder of the user's own lists of image ids.")
@click.option("--out", type=NEW, required=True, help="Folder for catalog, lists, priors and drawn images.")
@one_line_errors
def main(lists: Path, out: Path) -> None:
    """Turn a raw data set into checked sample lists."""
    params = load_params()
    with atomic_path(out) as folder:
        folder.mkdir()
        say(f"finding or drawing the images of {params.data.name}")
        source = find_source(params.data, drawn=folder)
        split = build_split(source, params.data, lists=lists, seed=params.seed)
        write_catalog(folder / "catalog.json", source.catalog)
        for name, image_ids in (("labeled", split.labeled), ("unlabeled", split.unlabeled), ("val", split.val)):
            checked = check_samples(source, image_ids, labels_required=name != "unlabeled", workers=params.runtime.workers)
            pairs = list(progress(checked, total=len(image_ids), unit=f"{name} images"))
            samples = [sample.moved(folder, out) for sample, _ in pairs]
            if name == "labeled":
                counts = sum_counts((counts for _, counts in pairs), source.catalog.num_classes)
                write_priors(folder / "class_priors.json", source.catalog.class_names, counts)
            if name == "unlabeled":
                # Where label files exist they serve to measure pseudo labels; the list that trains does not know them.
                write_samples(folder / "unlabeled_truth.tsv", [sample for sample in samples if sample.labels])
                samples = [unlabeled_view(sample) for sample in samples]
            write_ids(folder / f"{name}.txt", image_ids)
            write_samples(folder / f"{name}.tsv", samples)


if __name__ == "__main__":
    main()
