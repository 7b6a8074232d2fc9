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
    """Yield the prediction of each sample, (H, W) uint8, as it comes, and write the first `number` to `folder` as label PNGs."""
    for place, (sample, prediction) in enumerate(zip(samples, predictions, strict=True)):
        if place < number:
            write_label_png(folder / f"{sample.image_id}.png", prediction, catalog.colors)
        yield prediction
