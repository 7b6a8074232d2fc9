"""Stage `sample_labels`: the pseudo labels of every unlabeled image as PNGs (Algorithm 1)."""

from itertools import chain
from pathlib import Path

import click

from pipeline.labeling.pseudo_labels import check_drawable, check_realized, count_drawable, count_drawable_pixels, label_image
from pipeline.labeling.sampling import draw_quotas
from pipeline.machine.parallel import map_ordered
from pipeline.machine.process_group import join_processes
from pipeline.params import Params
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import ClassCounts, sum_counts
from pipeline.samples.images import write_label_png
from pipeline.selection import read_selection
from pipeline.softmax_store.reader import ConfidenceStore
from stages.command import EXISTING, NEW, parallel_stage_command, progress, round_option


@click.command()
@round_option
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set, for the colors.")
@click.option("--confidences", type=EXISTING, required=True, help="Confidences of this round.")
@click.option("--selection", type=EXISTING, required=True, help="Selection of this round.")
@click.option("--pseudo-labels", type=NEW, required=True, help="Folder of PNGs to write.")
@parallel_stage_command
def main(params: Params, round_key: str, catalog: Path, confidences: Path, selection: Path, pseudo_labels: Path) -> None:
    """Draw and write one round's pseudo labels."""
    classes = Catalog.read(catalog)
    store = ConfidenceStore(confidences)
    chosen = read_selection(selection)
    if chosen.class_names != store.class_names:
        raise ValueError(
            f"{selection} - expected the classes of {confidences} - found {', '.join(chosen.class_names)}"
            " - run the stage `solve_thresholds` again"
        )
    with join_processes() as processes:
        shards = processes.part(store.shards)

        def count(rows: range) -> list[ClassCounts]:
            if store.precision.finer_columns == 1:
                return [count_drawable(counts, store.precision.values, chosen) for counts in store.counts_of(rows)]
            return [count_drawable_pixels(prediction, confidence, chosen) for prediction, confidence in store.pixels_of(rows)]

        own = list(chain.from_iterable(map_ordered(count, shards, workers=params.runtime.workers)))
        drawable = list(chain.from_iterable(processes.gather(own)))
        check_drawable(chosen, sum_counts(drawable, store.num_classes), where=str(confidences))
        # Every process draws all quotas, which costs next to nothing, and so knows its own.
        quotas = draw_quotas(drawable, chosen.draws, seed=params.seed, round_key=round_key)
        with processes.shared_folder(pseudo_labels) as folder:

            def write(rows: range) -> list[ClassCounts]:
                written = []
                for index, (prediction, confidence) in zip(rows, store.pixels_of(rows), strict=True):
                    image_id = store.image_ids[index]
                    labels, given = label_image(
                        prediction, confidence, chosen, drawable[index], quotas[index],
                        seed=params.seed, round_key=round_key, image_id=image_id,
                    )  # fmt: skip
                    write_label_png(folder / f"{image_id}.png", labels, classes.colors)
                    written.append(given)
                return written

            written = chain.from_iterable(map_ordered(write, shards, workers=params.runtime.workers))
            realized = sum_counts(progress(written, total=len(own), unit="image"), classes.num_classes)
            check_realized(chosen, sum_counts(processes.gather(realized), classes.num_classes), where=str(confidences))


if __name__ == "__main__":
    main()
