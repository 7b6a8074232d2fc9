"""Read a store; a missing, damaged or foreign file is an error, never a silent fill value."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.machine.parallel import map_ordered
from pipeline.machine.shortage import describe_shortage
from pipeline.params import Kept, StoreParams
from pipeline.softmax_store.arrays import CONFIDENCE_ARRAYS, PER_CLASS, SOFTMAX_ARRAYS, get_array
from pipeline.softmax_store.location import is_sealed, open_group, read_location
from pipeline.softmax_store.quantized_map import Precision, precision_of
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
        sizes: (N, 2) int, height and width of each image.
    """

    format_name: ClassVar[str] = CONFIDENCE_FORMAT_NAME
    stage: ClassVar[str] = "calibrate"

    def __init__(self, path: Path) -> None:
        """Open the store at `path`.

        Raises:
            ValueError: there is no store, or it has another format or version.
        """
        self.path = path
        self.url = read_location(path)
        self._group = self._guard(lambda: open_group(path, self.url, "r"))
        self._arrays: dict[str, zarr.Array[Any]] = {}
        attributes: dict[str, Any] = dict(self._group.attrs)
        found = (attributes.get("format"), attributes.get("version"))
        if found != (self.format_name, FORMAT_VERSION):
            raise ValueError(
                f"{path} - expected {self.format_name} version {FORMAT_VERSION} - found {found} - run the stage `{self.stage}`"
            )
        if not self._guard(lambda: is_sealed(self._group, path, self.url, self.arrays)):
            raise self._damaged("metadata", "another content than its sha256 is of")
        self.image_ids: tuple[str, ...] = tuple(attributes.get("image_ids", ()))
        self.class_names: tuple[str, ...] = tuple(attributes.get("class_names", ()))
        self.precision: Precision = self._guard(lambda: precision_of(attributes["dtype"], self.num_classes))
        shapes = self._guard(lambda: [self._array(name).shape for name in self.arrays if name in PER_CLASS])
        expected = (len(self.image_ids), len(self.class_names))
        if any(shape[:2] != expected for shape in shapes):
            names = f"{expected[0]} image ids and {expected[1]} class names for arrays of {shapes[0][:2]}"
            raise self._damaged("attributes", names)
        if shapes[-1][2] != self.precision.num_columns:
            raise self._damaged("confidence_counts", f"{shapes[-1][2]} columns, not {self.precision.num_columns}")
        self.sizes: NDArray[np.int64] = self._guard(lambda: np.asarray(self._array("size")[:])).astype(np.int64)
        if len(self.sizes) != len(self.image_ids) or int(self.sizes.min()) < 1:
            raise self._damaged("size", "an image that was never written")

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that the store has."""
        return CONFIDENCE_ARRAYS

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.class_names)

    @property
    def shards(self) -> list[range]:
        """Images that lie in one file, for whoever reads or writes whole ones."""
        shards = self._guard(lambda: self._array("prediction").shards)
        per_shard = shards[0] if shards else 1
        count = len(self.image_ids)
        return [range(start, min(start + per_shard, count)) for start in range(0, count, per_shard)]

    def size(self, index: int) -> tuple[int, int]:
        """Return height and width of image `index`."""
        height, width = self.sizes[index].tolist()
        return height, width

    def counts_of(self, rows: range) -> NDArray[np.uint32]:
        """Return (K, C, B) uint32: of each of the K images `rows`, pixels predicted as a class in each column of confidences.

        Whole shards are read fastest.
        """
        counts: NDArray[np.uint32] = self._guard(lambda: np.asarray(self._array("confidence_counts")[rows.start : rows.stop]))
        wrong = counts.sum(axis=(1, 2), dtype=np.int64) != self.sizes[rows.start : rows.stop].prod(axis=1)
        if wrong.any():
            image_id = self.image_ids[rows[int(wrong.argmax())]]
            raise self._damaged("confidence_counts", f"counts of {image_id} that do not add up to its pixels")
        return counts

    def total_counts(self, *, workers: int = 1) -> NDArray[np.int64]:
        """Return (C, B) int64: what `counts_of` counts, over all images, on `workers` threads; memory does not grow with N."""
        total = np.zeros((self.num_classes, self.precision.num_columns), np.int64)
        for shard in map_ordered(self.counts_of, self.shards, workers=workers):
            for counts in shard:
                total += counts
        return total

    def unpredicted_classes(self, *, workers: int = 1) -> list[str]:
        """Return the classes that no pixel of any image is predicted as, counted on `workers` threads."""
        predicted = self.total_counts(workers=workers).sum(axis=1)
        return [name for name, pixels in zip(self.class_names, predicted.tolist(), strict=True) if not pixels]

    def finer_counts(self, index: int, columns: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the values of image `index` inside one column of each class, (C,): see `Precision.count_finer`."""
        return self.precision.count_finer(self.prediction(index), self.confidence(index), columns)

    def prediction(self, index: int) -> NDArray[np.uint8]:
        """Return (H, W) uint8, train ids: the arg max of image `index`."""
        return self._predictions(range(index, index + 1))[0]

    def confidence(self, index: int) -> NDArray[np.floating[Any]]:
        """Return (H, W) in [0, 1], of the store's precision: the largest probability of each pixel of image `index`."""
        return self._confidences(range(index, index + 1))[0]

    def pixels_of(self, rows: range) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.floating[Any]]]]:
        """Yield prediction and confidence of the images `rows`; whole shards are read fastest."""
        yield from zip(self._predictions(rows), self._confidences(rows), strict=True)

    def _predictions(self, rows: range) -> list[NDArray[np.uint8]]:
        predictions = self._crops("prediction", rows)
        for index, prediction in zip(rows, predictions, strict=True):
            if int(prediction.max()) >= self.num_classes:
                raise self._damaged("prediction", f"pixels of {self.image_ids[index]} without a class")
        return predictions

    def _confidences(self, rows: range) -> list[NDArray[np.floating[Any]]]:
        confidences = self._crops("confidence", rows)
        for index, confidence in zip(rows, confidences, strict=True):
            self._check_values("confidence", index, confidence)
        return confidences

    def _check_values(self, name: str, index: int, values: NDArray[np.floating[Any]]) -> None:
        # Bit patterns compare many times faster than float16, and that of NaN, the fill value, is larger than that of 1.
        if int(values.view(self.precision.bits).max()) > self.precision.highest:
            raise self._damaged(name, f"pixels of {self.image_ids[index]} without a value")

    def _array(self, name: str) -> "zarr.Array[Any]":
        # A group reads an array's description from disk each time it is asked for it.
        if name not in self._arrays:
            self._arrays[name] = get_array(self._group, name)
        return self._arrays[name]

    def _crops(self, name: str, rows: range) -> list[NDArray[Any]]:
        """Return an array's images at their own sizes, each in memory of its own."""
        height, width = self.sizes[rows.start : rows.stop].max(axis=0).tolist()
        shard = self._guard(lambda: np.asarray(self._array(name)[rows.start : rows.stop, ..., :height, :width]))
        sizes = (self.size(index) for index in rows)
        return [np.ascontiguousarray(image[..., :height, :width]) for image, (height, width) in zip(shard, sizes, strict=True)]

    def _guard(self, read: Callable[[], Value]) -> Value:
        try:
            return read()
        except MemoryError as error:
            raise MemoryError(f"{self.path}: {str(error) or 'not enough'}, unless the store is damaged") from error
        except Exception as error:  # codecs, zarr and the file system each raise their own
            # A whole store on a machine that is short of something, or keeps it from us, is not to be deleted.
            missing = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
            if describe_shortage(error) or (self.url is None and isinstance(error, OSError) and not missing):
                raise
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

    @property
    def kept(self) -> Kept:
        """Which probabilities of a pixel the store keeps."""
        return cast(Kept, self._group.attrs.get("keep", "all"))

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that the store has."""
        return SOFTMAX_ARRAYS[self.kept]

    def check_params(self, params: StoreParams) -> None:
        """Refuse a store that was made by another section `softmax_store`: calibrators are fitted as that of today says.

        Raises:
            ValueError: floor, average or what is kept are others.
        """
        made_by = {"keep": self.kept, **dict(self._group.attrs)}
        for name, wanted in params.model_dump(include={"average", "floor", "keep"}).items():
            if (found := made_by.get(name)) != wanted:
                raise ValueError(
                    f"{self.path} - {name} - expected {wanted}, as params.yaml has it - found {found} - run the stage `infer`"
                )

    def total_ties(self) -> NDArray[np.int64]:
        """Return (C, 3) int64: pixels of all images at the largest confidence, on each scale of `TIES`."""
        ties: NDArray[np.int64] = self._guard(lambda: np.asarray(self._array("ties")[:])).astype(np.int64)
        if int(ties.min()) < 0:
            raise self._damaged("ties", "an image that was never written")
        total: NDArray[np.int64] = ties.sum(axis=0)
        return total

    def softmax(self, index: int) -> NDArray[np.floating[Any]]:
        """Return (C, H, W) in [0, 1]: stored probabilities of image `index`; they sum to 1 up to rounding and floor.

        Raises:
            ValueError: the store keeps the largest alone, or is damaged.
        """
        if self.kept != "all":
            raise ValueError(
                f"{self.path} - softmax - expected a store of all probabilities - found keep: {self.kept}"
                " - set softmax_store.keep=all and run the stage `infer`"
            )
        softmax: NDArray[np.floating[Any]] = self._crops("softmax", range(index, index + 1))[0]
        self._check_values("softmax", index, softmax)
        return softmax
