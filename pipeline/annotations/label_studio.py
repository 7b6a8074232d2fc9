"""Label Studio's tasks with predictions, and its export read as COCO, which the reader of data sets knows.

Reference: labelstud.io/guide/predictions, /tags/brushlabels, /guide/task_format.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.annotations.brush import decode_brush, encode_brush
from pipeline.annotations.coco import pack_region
from pipeline.annotations.labels import ToolLabels
from pipeline.annotations.material import Material, Work
from pipeline.datasets.folders.names import one_form
from pipeline.machine.parallel import map_ordered
from pipeline.machine.progress import Progress
from pipeline.samples.sample_lists import Sample
from pipeline.schema import describe_error

TASKS = "tasks.json"
LABELING = "labeling.xml"
"""For the "Code" editor of a project's labeling interface."""
_BRUSH, _POLYGON = "brushlabels", "polygonlabels"
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
"""What Label Studio calls an image that was uploaded to it."""
_NAME = 10
"""Signs of a result's id."""


class _Loose(BaseModel):
    """Label Studio has many keys more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Result(_Loose):
    id: str = ""
    type: str
    value: dict[str, Any]
    original_width: int = 0
    original_height: int = 0
    image_rotation: float = 0


class _Annotation(_Loose):
    id: int | str | None = None
    result: list[_Result]
    was_cancelled: bool = False
    ground_truth: bool = False


class _Task(_Loose):
    id: int | str | None = None
    data: dict[str, Any]
    annotations: list[_Annotation] = []


_EXPORT = TypeAdapter(list[_Task])


def write_label_studio(
    out: Path, material: Material, labels: ToolLabels, *, url_prefix: str, workers: int, progress: Progress
) -> None:
    """Write tasks with one brush result a label and image, and the labeling interface that they need.

    Args:
        out: folder to write to.
        material: images and their label maps; the score of an image is that of its prediction.
        labels: of the tool.
        url_prefix: of an image's name makes its URL.
        workers: threads that read and encode.
        progress: shows the images.

    Raises:
        ValueError: a label map is damaged.
    """

    def encode(work: Work) -> str:
        placed = labels.place(work.read_labels(len(material.class_names)))
        height, width = work.size
        results = [
            {
                "id": hashlib.sha256(f"{work.image_id}\n{name}".encode()).hexdigest()[:_NAME],
                "type": _BRUSH,
                "from_name": "label",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {"format": "rle", "rle": encode_brush(region), _BRUSH: [name]},
            }
            for name, region in labels.regions(placed)
        ]
        data = {"image": f"{url_prefix}{quote(work.name)}", "image_id": work.image_id}
        score = {} if work.score is None else {"score": work.score}
        prediction = {"model_version": material.origin, **score, "result": results}
        task = {"data": data | ({"reason": work.reason} if work.reason else {}), "predictions": [prediction]}
        return json.dumps(task, ensure_ascii=False, separators=(",", ":"))

    encoded = map_ordered(encode, material.works, workers=workers)
    with (out / TASKS).open("w", encoding="utf-8") as file:
        for place, task in enumerate(progress(encoded, total=len(material.works), unit="image")):
            file.write(f"{',' if place else '['}\n{task}")
        file.write("\n]\n")
    lines = [
        f'    <Label value="{escape(name)}" background="#{red:02x}{green:02x}{blue:02x}"/>'
        for name, (red, green, blue) in zip(labels.names, labels.colors, strict=True)
        if name != labels.names[0] or labels.has_background
    ]
    interface = [
        "<View>",
        '  <Image name="image" value="$image" zoom="true"/>',
        '  <BrushLabels name="label" toName="image">',
        *lines,
        "  </BrushLabels>",
        "</View>",
    ]
    (out / LABELING).write_text("\n".join([*interface, ""]), encoding="utf-8")


def read_label_studio(path: Path, samples: Mapping[str, Sample], names: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Read an export ("JSON") as the tree of a COCO file, in which what is annotated twice is the later over the earlier.

    Args:
        path: the export.
        samples: images of the experiment, by id.
        names: name in tools of each, by id.

    Returns:
        The tree, of the images that are annotated, and all that is wrong, one to a line.
    """
    try:
        tasks = _EXPORT.validate_python(json.loads(path.read_bytes()))
    except ValidationError as error:
        return {}, [describe_error(path, error, remedy='export it as "JSON", not as "JSON-MIN" or another format')]
    except (ValueError, RecursionError) as error:
        return {}, [f"{path} - expected JSON of Label Studio - found {str(error)[:200]} - export it again"]
    faults: list[str] = []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for place, task in enumerate(tasks):
        where = f"{path} - task {place if task.id is None else task.id}"
        try:
            annotation = _annotation_of(task)
            if annotation is None:
                continue
            image_id = _image_of(task, samples, names)
        except ValueError as error:
            faults.append(f"{where} - {error}")
            continue
        size = samples[image_id].size
        images.append({"id": len(images) + 1, "file_name": names[image_id], "width": size[1], "height": size[0]})
        for result in annotation.result:
            try:
                regions = list(_regions(result, size))
            except ValueError as error:
                faults.append(f"{where} - result {result.id or result.type} - {error}")
                continue
            for label, segmentation in regions:
                number = categories.setdefault(label, len(categories) + 1)
                one = {"id": f"{place}-{result.id}", "image_id": len(images), "category_id": number}
                annotations.append(one | ({"segmentation": segmentation} if segmentation else {}))
    if not images and not faults:
        faults.append(f"{path} - expected annotated tasks - found none of {len(tasks)} - submit some, and export them again")
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    return {"images": images, "annotations": annotations, "categories": listed}, faults


def _annotation_of(task: _Task) -> _Annotation | None:
    there = [annotation for annotation in task.annotations if not annotation.was_cancelled]
    chosen = [annotation for annotation in there if annotation.ground_truth] or there
    if len(chosen) > 1:
        raise ValueError(f"expected one annotation - found {len(chosen)} - mark one as ground truth, or delete the others")
    return chosen[0] if chosen else None


def _image_of(task: _Task, samples: Mapping[str, Sample], names: Mapping[str, str]) -> str:
    """Return the image id that a task names: as we wrote it, or else by the end of its URL."""
    if task.data.get("image_id") in samples:
        return str(task.data["image_id"])
    url = urlsplit(str(task.data.get("image", "")))
    # Files of local storage are named in the query.
    place = PurePosixPath(one_form(parse_qs(url.query).get("d", [unquote(url.path)])[0].replace("\\", "/")))
    uploaded = _UPLOADED.fullmatch(place.name)
    ends = [place, *([place.with_name(uploaded[1])] if uploaded else [])]
    for end in ends:
        found = [image_id for image_id, name in names.items() if f"/{end}".endswith(f"/{one_form(name)}")]
        if found:
            return max(found, key=lambda image_id: len(names[image_id]))
    raise ValueError(f"expected an image of the experiment - found {str(place)[:200]!r} - put it into the data set first")


def _regions(result: _Result, size: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    """Yield label and segmentation of a result, None where it has no region that a mask can take."""
    labels = result.value.get(result.type)
    if not isinstance(labels, list) or not labels:
        return
    if len(labels) > 1 or not isinstance(labels[0], str):
        raise ValueError(f"expected one label - found {', '.join(map(str, labels))[:200]} - choose one")
    drawn = result.type in {_BRUSH, _POLYGON}
    said = (result.original_height, result.original_width)
    if drawn and (said != size or result.image_rotation):
        raise ValueError(f"expected the image's size {size}, not turned - found {said} - annotate this very image")
    segmentation: Any = None
    if result.type == _BRUSH:
        packed = result.value.get("rle")
        try:
            segmentation = pack_region(decode_brush(packed if isinstance(packed, list) else [], size))
        except ValueError as error:
            raise ValueError(f"{error} - export it again") from error
    elif result.type == _POLYGON:
        try:
            points = [(float(x) * size[1] / 100, float(y) * size[0] / 100) for x, y in result.value["points"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("expected points of x and y in percent - found others - export it again") from error
        segmentation = [[coordinate for point in points for coordinate in point]]
    yield labels[0], segmentation
