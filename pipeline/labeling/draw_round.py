"""The pseudo labels of a round: count what stands in the draw, deal quotas to images, label each and write it (Algorithm 1)."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from pipeline.labeling.pseudo_labels import check_drawable, check_realized, count_drawable, count_drawable_pixels, label_image
from pipeline.labeling.sampling import draw_quotas
from pipeline.machine.parallel import map_ordered
from pipeline.machine.process_group import ProcessGroup
from pipeline.machine.progress import Progress
from pipeline.samples.class_frequencies import ClassCounts, sum_counts
from pipeline.samples.images import write_label_png
from pipeline.selection import Selection
from pipeline.softmax_store.reader import ConfidenceStore


def draw_round(
    store: ConfidenceStore,
    selection: Selection,
    folder: Path,
    *,
    colors: Sequence[tuple[int, int, int]],
    seed: int,
    round_key: str,
    group: ProcessGroup,
    workers: int,
    progress: Progress,
) -> None:
    """Draw and write the pseudo labels of every unlabeled image; the same bytes for any number of processes and workers.

    Args:
        store: confidences of the round.
        selection: of the round.
        folder: of PNGs to write, one per image, named by image ids.
        colors: (C,) RGB, for the palettes.
        seed: of the experiment.
        round_key: names the round.
        group: the processes that share the work; all of them call this.
        workers: threads of each.
        progress: shows the images.

    Raises:
        ValueError: selection and store do not belong together.

    Reference: He et al., Algorithm 1, lines 5-6.
    """
    if selection.class_names != store.class_names:
        raise ValueError(
            f"{store.path} - expected the classes {', '.join(selection.class_names)} of the selection"
            f" - found {', '.join(store.class_names)} - run the stage `solve_thresholds` again"
        )
    shards = group.part(store.shards)
    counted = map_ordered(lambda rows: _count(store, rows, selection), shards, workers=workers)
    own = list(chain.from_iterable(counted))
    drawable = list(chain.from_iterable(group.gather(own)))
    check_drawable(selection, sum_counts(drawable, store.num_classes), where=str(store.path))
    # Every process draws all quotas, which costs next to nothing, and so knows its own.
    quotas = draw_quotas(drawable, selection.draws, seed=seed, round_key=round_key)
    with group.shared_folder(folder) as shared:

        def write(rows: range) -> list[ClassCounts]:
            written = []
            for index, pixels in zip(rows, store.pixels_of(rows), strict=True):
                image_id = store.image_ids[index]
                labels, given = label_image(
                    *pixels, selection, drawable[index], quotas[index], seed=seed, round_key=round_key, image_id=image_id
                )
                write_label_png(shared / f"{image_id}.png", labels, colors)
                written.append(given)
            return written

        written = chain.from_iterable(map_ordered(write, shards, workers=workers))
        realized = sum_counts(progress(written, total=len(own), unit="image"), store.num_classes)
        check_realized(selection, sum_counts(group.gather(realized), store.num_classes), where=str(store.path))


def _count(store: ConfidenceStore, rows: range, selection: Selection) -> list[ClassCounts]:
    """Count the pixels of some images that stand in the draw; where counts are coarser than thresholds, pixel by pixel."""
    if store.precision.finer_columns == 1:
        return [count_drawable(counts, store.precision.values, selection) for counts in store.counts_of(rows)]
    return [count_drawable_pixels(prediction, confidence, selection) for prediction, confidence in store.pixels_of(rows)]
