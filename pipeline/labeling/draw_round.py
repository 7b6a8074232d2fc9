"""The pseudo labels of a round: count what stands in the draw, deal quotas to images, label each and write it (Algorithm 1)."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
    drawable, quotas = deal_quotas(store, selection, seed=seed, round_key=round_key, group=group, workers=workers)
    shards = group.part(store.shards)
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
        realized = sum_counts(progress(written, total=sum(map(len, shards)), unit="image"), store.num_classes)
        check_realized(selection, sum_counts(group.gather(realized), store.num_classes), where=str(store.path))


def deal_quotas(
    store: ConfidenceStore, selection: Selection, *, seed: int, round_key: str, group: ProcessGroup, workers: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count what stands in the draw in each of the N images, and draw how much of it each gives.

    Args:
        store: confidences of the round; of float16, no pixel is read.
        selection: of the round.
        seed: of the experiment.
        round_key: names the round.
        group: the processes that share the counting; all of them call this.
        workers: threads of each.

    Returns:
        (N, C) int64, the pixels that stand in the draw, and (N, C) int64, those to draw. They are all that grows with the number
        of images: 16 bytes per image and class.

    Raises:
        ValueError: selection and store do not belong together.
    """
    counted = map_ordered(lambda rows: _count(store, rows, selection), group.part(store.shards), workers=workers)
    own = np.concatenate([np.zeros((0, store.num_classes), np.int64), *counted])
    drawable = np.concatenate(group.gather(own)) if group.size > 1 else own
    check_drawable(selection, drawable.sum(axis=0), where=str(store.path))
    # Every process draws all quotas, which takes seconds for a hundred thousand images, and so knows its own.
    return drawable, draw_quotas(drawable, selection.draws, seed=seed, round_key=round_key)


def _count(store: ConfidenceStore, rows: range, selection: Selection) -> NDArray[np.int64]:
    """Count the pixels of K images that stand in the draw, (K, C); where counts are coarser than thresholds, pixel by pixel."""
    if store.precision.finer_columns == 1:
        return count_drawable(store.counts_of(rows), store.precision.values, selection)
    return np.stack([count_drawable_pixels(*pixels, selection) for pixels in store.pixels_of(rows)])
