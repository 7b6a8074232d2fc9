"""Rows of pictures: an image, its true labels, and what each round made of it."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.files import digest
from pipeline.report.record import Experiment, Round
from pipeline.samples.catalog import Catalog
from pipeline.samples.images import image_of, labels_of, palette, read_label_png
from pipeline.samples.sample_lists import Sample
from pipeline.suggestions.table import read_suggestions

LONGEST_SIDE = 480
"""Pixels; larger pictures are reduced, or a page of Cityscapes would weigh a hundred megabytes."""
LOSSLESS_SIDE = 256
"""Pixels; larger photographs become JPEG, smaller ones are scaled up by the browser and show what JPEG does to them."""
MOST_SUGGESTIONS = 24
"""Suggested images of a round that are shown: who labels more reads the table."""


@dataclass(frozen=True)
class Picture:
    """A picture inside the page: a data URI, its text alternative, what stands below it."""

    source: str
    alt: str
    caption: str


@dataclass(frozen=True)
class PictureRow:
    """The pictures of one image; `note` says why it is shown, if not as an example."""

    image_id: str
    pictures: tuple[Picture, ...]
    note: str = ""


def data_uri(media_type: str, content: bytes) -> str:
    """Spell a file as a URI that needs no file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def validation_rows(experiment: Experiment) -> list[PictureRow]:
    """Show the validation images of which the rounds kept a prediction: image, true labels, predictions.

    Raises:
        ValueError: a round has no prediction of an image of which another has one, or a file is damaged.
    """
    rows = []
    for sample in experiment.val:
        files = [(round_.label, round_.folder / "examples" / f"{sample.image_id}.png") for round_ in experiment.rounds]
        if any(path.is_file() for _, path in files):
            predictions = _labels(sample, files, experiment.catalog, "prediction")
            pictures = [_image(sample), _truth(sample, experiment.catalog), *predictions]
            rows.append(PictureRow(sample.image_id, tuple(pictures)))
    return rows


def pseudo_label_rows(experiment: Experiment, number: int) -> list[PictureRow]:
    """Show unlabeled images: image, pseudo labels of every round, true labels where they are known.

    At most `number` rows, spread evenly over the list, because neighbors are often frames of one video; none without a round
    that labels.
    """
    labeling = [student for student in experiment.students if student.selection and sum(student.selection.realized_counts)]
    shown = min(number, len(experiment.unlabeled)) if labeling else 0
    rows = []
    for sample in (experiment.unlabeled[place * len(experiment.unlabeled) // shown] for place in range(shown)):
        files = [(student.label, student.folder / "pseudo_labels" / f"{sample.image_id}.png") for student in labeling]
        known = experiment.truth.get(sample.image_id)
        truth = [_truth(known, experiment.catalog)] if known else []
        pictures = [_image(sample), *_labels(sample, files, experiment.catalog, "pseudo labels"), *truth]
        rows.append(PictureRow(sample.image_id, tuple(pictures)))
    return rows


def suggestion_rows(experiment: Experiment, folder: Path) -> list[tuple[str, list[PictureRow]]]:
    """Show the images that `python -m stages.suggest` suggests to label, by round; no true labels, which nobody has yet.

    Tables of another experiment, or of this one before something changed, are left out: they name another selection.

    Raises:
        ValueError: a table is damaged, or names an image that is not unlabeled.
    """
    shown = []
    for student in experiment.students:
        table = folder / f"{student.key}.tsv"
        if table.is_file() and (rows := _suggested(experiment, student, table)):
            shown.append((student.label, rows))
    return shown


def _suggested(experiment: Experiment, student: Round, table: Path) -> list[PictureRow]:
    suggestions, selection = read_suggestions(table)
    if selection != digest(student.folder / "selection.json"):
        return []
    samples = {sample.image_id: sample for sample in experiment.unlabeled}
    rows = []
    for place, each in enumerate(suggestions[:MOST_SUGGESTIONS], start=1):
        if (sample := samples.get(each.image_id)) is None:
            raise ValueError(f"{table} - expected unlabeled images - found {each.image_id} - run `python -m stages.suggest`")
        file = student.folder / "pseudo_labels" / f"{sample.image_id}.png"
        pictures = [_image(sample), *_labels(sample, [(student.label, file)], experiment.catalog, "pseudo labels")]
        rows.append(PictureRow(f"{place}. {sample.image_id}", tuple(pictures), note=each.reason))
    return rows


def _image(sample: Sample) -> Picture:
    picture = _reduced(Image.fromarray(image_of(sample)), Image.Resampling.BOX)
    if max(picture.size) <= LOSSLESS_SIDE:
        source = _encoded(picture, "PNG", optimize=True)
    else:
        source = _encoded(picture, "JPEG", quality=85)
    return Picture(source, alt=f"{sample.image_id}: image", caption="image")


def _truth(sample: Sample, catalog: Catalog) -> Picture:
    return Picture(_painted(labels_of(sample, catalog), catalog), alt=f"{sample.image_id}: true labels", caption="true labels")


def _labels(sample: Sample, files: Sequence[tuple[str, Path]], catalog: Catalog, what: str) -> list[Picture]:
    pictures = []
    for label, path in files:
        labels = read_label_png(path, num_classes=catalog.num_classes, size=sample.size)
        source = _painted(labels, catalog)
        pictures.append(Picture(source, alt=f"{sample.image_id}: {what} of {label.lower()}", caption=f"{what}, {label.lower()}"))
    return pictures


def _painted(labels: NDArray[np.uint8], catalog: Catalog) -> str:
    picture = Image.fromarray(labels)
    picture.putpalette(palette(catalog.colors))
    return _encoded(_reduced(picture, Image.Resampling.NEAREST), "PNG", optimize=True)


def _reduced(picture: Image.Image, resampling: Image.Resampling) -> Image.Image:
    factor = LONGEST_SIDE / max(picture.size)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    return picture.resize(size, resampling) if factor < 1 else picture


def _encoded(picture: Image.Image, kind: str, **options: bool | int) -> str:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return data_uri(f"image/{kind.lower()}", content.getvalue())
