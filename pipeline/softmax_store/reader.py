"""Read a store; a missing, damaged or foreign file is an error, never a silent fill value."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.softmax_store.arrays import get_array
from pipeline.softmax_store.location import open_group, read_location
from pipeline.softmax_store.quantize import PRECISIONS, Precision
from pipeline.softmax_store.writer import FORMAT_NAME, FORMAT_VERSION

CONFIDENCE_FORMAT_NAME = "dars-confidence-store"

Value = TypeVar("Value")


class ConfidenceStore:
    """What labeling reads of a round: predictions, confidences and their counts.

    Attributes:
        path: of the store.
        url: where its arrays lie; None = in the folder itself.
        image_ids: (N,) in the order of the store.
        class_names: (C,).
        precision: of the confidences.
        attributes: everything else that the writer noted.
        sizes: (N, 2) int, height and width of each image.
    """

    format_name: ClassVar[str] = CONFIDENCE_FORMAT_NAME
    stage: ClassVar[str] = "calibrate"
    per_class: ClassVar[str] = "confidence_counts"

    def __init__(self, path: Path) -> None:
        """Open the store at `path`.

        Raises:
            ValueError: there is no store, or it has another format or version.
        """
        self.path = path
        self.url = read_location(path)
        self._group = self._guard(lambda: open_group(path, self.url, "r"))
        attributes: dict[str, Any] = dict(self._group.attrs)
        found = (attributes.pop("format", None), attributes.pop("version", None))
        if found != (self.format_name, FORMAT_VERSION):
            raise ValueError(
                f"{path} - expected {self.format_name} version {FORMAT_VERSION} - found {found} - run the stage `{self.stage}`"
            )
        self.image_ids: tuple[str, ...] = tuple(attributes.pop("image_ids", ()))
        self.class_names: tuple[str, ...] = tuple(attributes.pop("class_names", ()))
        self.precision: Precision = self._guard(lambda: PRECISIONS[attributes.pop("dtype")])
        self.attributes = attributes
        arrays = (self.per_class, "confidence_counts")
        shapes = self._guard(lambda: [get_array(self._group, name).shape[:2] for name in arrays])
        expected = (len(self.image_ids), len(self.class_names))
        if any(shape != expected for shape in shapes):
            raise self._damaged("attributes", f"{expected[0]} image ids and {expected[1]} class names for arrays of {shapes[0]}")
        self.sizes: NDArray[np.int64] = self._guard(lambda: np.asarray(get_array(self._group, "size")[:])).astype(np.int64)
        if len(self.sizes) != len(self.image_ids) or int(self.sizes.min()) < 1:
            raise self._damaged("size", "an image that was never written")

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.class_names)

    @property
    def shards(self) -> list[range]:
        """Images that lie in one file, for whoever reads or writes whole ones."""
        shards = get_array(self._group, "prediction").shards
        per_shard = shards[0] if shards else 1
        count = len(self.image_ids)
        return [range(start, min(start + per_shard, count)) for start in range(0, count, per_shard)]

    def size(self, index: int) -> tuple[int, int]:
        """Return height and width of image `index`."""
        height, width = self.sizes[index].tolist()
        return height, width

    def confidence_counts(self, index: int) -> NDArray[np.uint32]:
        """Return (C, B) uint32: pixels of image `index` predicted as each class, in each column of confidences."""
        counts: NDArray[np.uint32] = self._guard(lambda: np.asarray(get_array(self._group, "confidence_counts")[index]))
        if int(counts.sum(dtype=np.int64)) != int(self.sizes[index].prod()):
            raise self._damaged("confidence_counts", f"counts of {self.image_ids[index]} that do not add up to its pixels")
        return counts

    def total_counts(self) -> NDArray[np.int64]:
        """Return (C, B) int64: `confidence_counts` added up over all images; memory does not grow with their number."""
        total = np.zeros((self.num_classes, self.precision.num_columns), np.int64)
        for index in range(len(self.image_ids)):
            total += self.confidence_counts(index)
        return total

    def finer_counts(self, index: int, columns: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the values inside one column of each class, the second radix pass of float32.

        Args:
            index: image.
            columns: (C,) one column of `confidence_counts` for each class.

        Returns:
            (C, 65536) int64: pixels of the image predicted as each class whose confidence has that end of its bit pattern.
        """
        prediction = self.prediction(index).ravel()
        confidence = self.confidence(index).ravel()
        inside = self.precision.columns(confidence) == np.asarray(columns)[prediction]
        finer = self.precision.finer_columns
        ends = confidence[inside].view(self.precision.bits).astype(np.int64) % finer
        joint = prediction[inside].astype(np.int64) * finer + ends
        return np.bincount(joint, minlength=self.num_classes * finer).reshape(self.num_classes, finer)

    def prediction(self, index: int) -> NDArray[np.uint8]:
        """Return (H, W) uint8, train ids: the arg max of image `index`."""
        prediction: NDArray[np.uint8] = self._crop("prediction", index)
        if int(prediction.max()) >= self.num_classes:
            raise self._damaged("prediction", f"pixels of {self.image_ids[index]} without a class")
        return prediction

    def confidence(self, index: int) -> NDArray[np.floating[Any]]:
        """Return (H, W) in [0, 1], of the store's precision: the largest probability of each pixel of image `index`."""
        confidence: NDArray[np.floating[Any]] = self._crop("confidence", index)
        if np.isnan(confidence).any():
            raise self._damaged("confidence", f"pixels of {self.image_ids[index]} without a value")
        return confidence

    def _crop(self, name: str, index: int) -> NDArray[Any]:
        height, width = self.size(index)
        return self._guard(lambda: np.asarray(get_array(self._group, name)[index, ..., :height, :width]))

    def _guard(self, read: Callable[[], Value]) -> Value:
        try:
            return read()
        except Exception as error:  # codecs, zarr and the file system each raise their own
            raise self._damaged("store", " ".join(f"{type(error).__name__}: {error}".split())) from error

    def _damaged(self, array: str, found: str) -> ValueError:
        name = self.format_name.removeprefix("dars-").replace("-", " ")
        if self.url is None:
            where, remedy = str(self.path), "delete it"
        else:
            where, remedy = self.url, f"check network and credentials; if the store is gone, delete {self.path}"
        return ValueError(
            f"{where} - {array} - expected a whole {name} - found {found} - {remedy} and run the stage `{self.stage}`"
        )


class SoftmaxStore(ConfidenceStore):
    """A finished store of the teacher's softmax maps, and what labeling reads of them uncalibrated."""

    format_name: ClassVar[str] = FORMAT_NAME
    stage: ClassVar[str] = "infer"
    per_class: ClassVar[str] = "softmax"

    def total_ties(self) -> NDArray[np.int64]:
        """Return (C, 3) int64: pixels of all images at the largest confidence, see `count_ties`."""
        ties: NDArray[np.int64] = self._guard(lambda: np.asarray(get_array(self._group, "ties")[:])).astype(np.int64)
        if int(ties.min()) < 0:
            raise self._damaged("ties", "an image that was never written")
        total: NDArray[np.int64] = ties.sum(axis=0)
        return total

    def softmax(self, index: int) -> NDArray[np.floating[Any]]:
        """Return (C, H, W) in [0, 1]: stored probabilities of image `index`; they sum to 1 up to rounding and floor."""
        softmax: NDArray[np.floating[Any]] = self._crop("softmax", index)
        if np.isnan(softmax).any():
            raise self._damaged("softmax", f"pixels of {self.image_ids[index]} without a value")
        return softmax
