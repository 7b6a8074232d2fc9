"""Read a softmax store; a missing, damaged or foreign file is an error, never a silent fill value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.softmax_store.quantize import NUM_VALUES
from pipeline.softmax_store.writer import FORMAT_NAME, FORMAT_VERSION

Value = TypeVar("Value")


class SoftmaxStore:
    """A finished store.

    Attributes:
        path: of the store.
        image_ids: (N,) in the order of the store.
        class_names: (C,).
        attributes: everything else that the writer noted: `teacher_sha256`, `inference`, `floor`.
        sizes: (N, 2) int, height and width of each image.
    """

    def __init__(self, path: Path) -> None:
        """Open the store at `path`.

        Raises:
            ValueError: there is no store, or it has another format or version.
        """
        self.path = path
        self._group = self._guard(lambda: zarr.open_group(path, mode="r"))
        attributes: dict[str, Any] = dict(self._group.attrs)
        found = (attributes.pop("format", None), attributes.pop("version", None))
        if found != (FORMAT_NAME, FORMAT_VERSION):
            raise ValueError(f"{path} - expected {FORMAT_NAME} version {FORMAT_VERSION} - found {found} - run the stage `infer`")
        self.image_ids: tuple[str, ...] = tuple(attributes.pop("image_ids", ()))
        self.class_names: tuple[str, ...] = tuple(attributes.pop("class_names", ()))
        self.attributes = attributes
        shapes = self._guard(lambda: [self._array(name).shape[:2] for name in ("softmax", "confidence_counts")])
        expected = (len(self.image_ids), len(self.class_names))
        if any(shape != expected for shape in shapes):
            raise self._damaged("attributes", f"{expected[0]} image ids and {expected[1]} class names for arrays of {shapes[0]}")
        self.sizes: NDArray[np.int64] = self._guard(lambda: np.asarray(self._array("size")[:])).astype(np.int64)
        if len(self.sizes) != len(self.image_ids) or int(self.sizes.min()) < 1:
            raise self._damaged("size", "an image that was never written")

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.class_names)

    def size(self, index: int) -> tuple[int, int]:
        """Return height and width of image `index`."""
        height, width = self.sizes[index].tolist()
        return height, width

    def confidence_counts(self, index: int) -> NDArray[np.uint32]:
        """Return (C, 15361) uint32: pixels of image `index` predicted as each class, at each float16 confidence."""
        counts: NDArray[np.uint32] = self._guard(lambda: np.asarray(self._array("confidence_counts")[index]))
        if int(counts.sum(dtype=np.int64)) != int(self.sizes[index].prod()):
            raise self._damaged("confidence_counts", f"counts of {self.image_ids[index]} that do not add up to its pixels")
        return counts

    def total_counts(self) -> NDArray[np.int64]:
        """Return (C, 15361) int64: `confidence_counts` added up over all images; memory does not grow with their number."""
        total = np.zeros((self.num_classes, NUM_VALUES), np.int64)
        for index in range(len(self.image_ids)):
            total += self.confidence_counts(index)
        return total

    def prediction(self, index: int) -> NDArray[np.uint8]:
        """Return (H, W) uint8, train ids: the arg max of image `index`."""
        prediction: NDArray[np.uint8] = self._crop("prediction", index)
        if int(prediction.max()) >= self.num_classes:
            raise self._damaged("prediction", f"pixels of {self.image_ids[index]} without a class")
        return prediction

    def confidence(self, index: int) -> NDArray[np.float16]:
        """Return (H, W) float16 in [0, 1]: the largest stored probability of each pixel of image `index`."""
        confidence: NDArray[np.float16] = self._crop("confidence", index)
        if np.isnan(confidence).any():
            raise self._damaged("confidence", f"pixels of {self.image_ids[index]} without a value")
        return confidence

    def softmax(self, index: int) -> NDArray[np.float16]:
        """Return (C, H, W) float16 in [0, 1]: stored probabilities of image `index`; they sum to 1 up to rounding and floor."""
        softmax: NDArray[np.float16] = self._crop("softmax", index)
        if np.isnan(softmax).any():
            raise self._damaged("softmax", f"pixels of {self.image_ids[index]} without a value")
        return softmax

    def _crop(self, name: str, index: int) -> NDArray[Any]:
        height, width = self.size(index)
        return self._guard(lambda: np.asarray(self._array(name)[index, ..., :height, :width]))

    def _array(self, name: str) -> zarr.Array[Any]:
        array = self._group[name]
        if not isinstance(array, zarr.Array):
            raise TypeError(f"{name} is no array")
        return array

    def _guard(self, read: Callable[[], Value]) -> Value:
        try:
            return read()
        except Exception as error:  # codecs, zarr and the file system each raise their own
            raise self._damaged("store", " ".join(f"{type(error).__name__}: {error}".split())) from error

    def _damaged(self, array: str, found: str) -> ValueError:
        return ValueError(
            f"{self.path} - {array} - expected a whole softmax store - found {found} - delete it and run the stage `infer`"
        )
