"""One of the sets that a batch is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.samples.catalog import Catalog
from pipeline.samples.images import image_of, labels_of, read_label_png
from pipeline.samples.sample_lists import Sample
from pipeline.samples.working_size import resize_image, resize_labels, working_size


@dataclass(frozen=True)
class TrainingSet:
    """Images with labels, and how many of them go into a batch.

    Attributes:
        name: `labeled` or `unlabeled`; keys the draws.
        samples: in any fixed order.
        batch_size: crops per step.
        catalog: of the data set.
        pseudo_labels: folder of label PNGs by image id that stand in for the samples' own label files; None: use those.
        long_side: longer side in pixels to which images and labels are brought before anything is drawn; None: their own.
        strong: whether its crops become strong views.
    """

    name: str
    samples: Sequence[Sample]
    batch_size: int
    catalog: Catalog
    pseudo_labels: Path | None = None
    long_side: int | None = None
    strong: bool = False

    def size(self, sample: Sample) -> tuple[int, int]:
        """Return height and width of what `read` returns."""
        return working_size(sample.size, self.long_side)

    def read(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return image (H, W, 3) and labels (H, W), both uint8."""
        image, size = image_of(sample), self.size(sample)
        if self.pseudo_labels is not None:
            png = self.pseudo_labels / f"{sample.image_id}.png"
            labels = read_label_png(png, num_classes=self.catalog.num_classes, size=sample.size)
        else:
            labels = labels_of(sample, self.catalog)
        return resize_image(image, size), resize_labels(labels, size)
