"""Annotation files of COCO as they lie in a folder, checked against their form."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.datasets.folders.coco_masks import Segmentation
from pipeline.schema import describe_error

_KEYS = (b'"images"', b'"annotations"', b'"categories"')


class _Loose(BaseModel):
    """Tools add keys of their own, and each others."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ListedImage(_Loose):
    """An entry of `images`."""

    id: int | str
    file_name: str = Field(min_length=1)
    width: int | None = Field(None, ge=1)
    height: int | None = Field(None, ge=1)


class Category(_Loose):
    """An entry of `categories`."""

    id: int
    name: str = Field(min_length=1)
    supercategory: str | None = None


class Annotation(_Loose):
    """An entry of `annotations`; those of boxes and points have no segmentation."""

    id: int | str | None = None
    image_id: int | str
    category_id: int
    segmentation: Segmentation | None = None
    iscrowd: bool = False


class Content(_Loose):
    """What a file holds."""

    images: list[ListedImage]
    annotations: list[Annotation]
    categories: list[Category]


@dataclass(frozen=True)
class AnnotationFile:
    """One file.

    Attributes:
        path: where it lies.
        words: of its name and of the folder that it lies in: instances_val2017.json, valid/_annotations.coco.json.
        content: what it holds.
    """

    path: Path
    words: frozenset[str]
    content: Content

    def is_part(self, *names: str) -> bool:
        """Tell whether it is named for a part of the data."""
        return not self.words.isdisjoint(names)


def find_annotation_files(folder: Path) -> list[Path]:
    """Return the COCO files in `folder` and in the folders directly in it, by what they hold, whatever they are called."""
    files = sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])
    visible = [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    return [file for file in visible if file.is_file() and _looks_like_coco(file)]


def _looks_like_coco(file: Path) -> bool:
    content = file.read_bytes()
    return all(key in content for key in _KEYS)


def read_annotation_files(folders: Sequence[Path], faults: list[str]) -> list[AnnotationFile]:
    """Read the COCO files of several folders; what is wrong with one is added to `faults`."""
    files = []
    for folder, path in ((place, path) for place in folders for path in find_annotation_files(place)):
        try:
            content = Content.model_validate(json.loads(path.read_bytes()))
        except ValidationError as error:
            faults.append(describe_error(path, error, remedy="export it again"))
        except (ValueError, RecursionError) as error:
            faults.append(f"{path} - expected COCO JSON - found {error} - export it again")
        else:
            words = re.split("[^a-z]+", str(path.relative_to(folder).with_suffix("")).lower())
            files.append(AnnotationFile(path, frozenset(words), content))
    return files
