"""The first predictions, kept as pictures."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.evaluation.confusion import LabelArray
from pipeline.samples.catalog import Catalog
from pipeline.samples.images import write_label_png
from pipeline.samples.sample_lists import Sample


def keep_examples(
    folder: Path, samples: Sequence[Sample], predictions: Iterable[LabelArray], catalog: Catalog, *, number: int
) -> Iterator[LabelArray]:
    """Yield every prediction as it comes, and write the first as label PNGs.

    Args:
        folder: to write to.
        samples: what is predicted.
        predictions: of each sample, (H, W) uint8.
        catalog: of the data set.
        number: predictions to keep at most.
    """
    for place, (sample, prediction) in enumerate(zip(samples, predictions, strict=True)):
        if place < number:
            write_label_png(folder / f"{sample.image_id}.png", prediction, catalog.colors)
        yield prediction
