"""Write a softmax store shard by shard, so that an interrupted run goes on at the first shard that is not on disk."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.files import write_text
from pipeline.softmax_store.arrays import create_array, create_confidence_arrays, get_array, write_confidence_rows, write_rows
from pipeline.softmax_store.quantize import PRECISIONS, TIES, QuantizedMap, count_ties, quantize

FORMAT_NAME = "dars-softmax-store"
FORMAT_VERSION = 2


class SoftmaxStoreWriter:
    """A store under construction in a scratch folder; one process writes it, in whole shards.

    Attributes:
        shards: images of each shard, as index ranges.
        done: shards that are on disk from this or an earlier, interrupted run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        image_ids: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        class_names: Sequence[str],
        floor: float,
        shard_mib: float,
        attributes: Mapping[str, Any],
        dtype: str = "float16",
    ) -> None:
        """Create the store, or take up one that an earlier run left behind.

        Args:
            folder: scratch folder; the store grows in `folder/softmax.zarr`, the list of finished shards beside it.
            image_ids: (N,) in the order of the store.
            sizes: (N,) height and width of each image.
            class_names: (C,).
            floor: probabilities below it are stored as 0.
            shard_mib: most raw data of one array's shard, in MiB; a shard holds one image at least.
            attributes: provenance, written into the store: the teacher's digest, the inference settings.
            dtype: of probabilities, a key of `PRECISIONS`.
        """
        if floor * len(class_names) >= 1:
            raise ValueError(
                f"params.yaml - softmax_store.floor - expected less than 1/{len(class_names)}, so that no pixel loses its largest"
                f" probability - found {floor} - lower it"
            )
        self.path = folder / "softmax.zarr"
        self._image_ids = list(image_ids)
        self._done_list = folder / "done.txt"
        self._sizes = list(sizes)
        self._num_classes = len(class_names)
        self._floor = floor
        self._precision = PRECISIONS[dtype]
        height, width = (max(size[axis] for size in sizes) for axis in (0, 1))
        # Of small images, the counts are larger than the softmax map.
        image_bytes = self._num_classes * max(np.dtype(dtype).itemsize * height * width, 4 * self._precision.num_columns)
        per_shard = min(max(int(shard_mib * 2**20 // image_bytes), 1), len(image_ids))
        self.shards = [range(start, min(start + per_shard, len(image_ids))) for start in range(0, len(image_ids), per_shard)]
        self.done: set[int] = set()
        # The list is made after the arrays, so where both exist they are complete; a line cut short by a kill does not count.
        # A list without a store is left by a kill between the store's move to its place and the end of the stage.
        if self._done_list.exists() and self.path.exists():
            self.done = {int(line) for line in self._done_list.read_text(encoding="utf-8").split("\n")[:-1]}
            write_text(self._done_list, "".join(f"{index}\n" for index in sorted(self.done)))
            self._group = zarr.open_group(self.path, mode="r+")
            self._remove_unfinished()
        else:
            self._group = self._create(image_ids, height, width, per_shard, {**attributes, "class_names": list(class_names)})
            write_text(self._done_list, "")

    def _create(
        self, image_ids: Sequence[str], height: int, width: int, per_shard: int, attributes: Mapping[str, Any]
    ) -> zarr.Group:
        count, classes, dtype = len(image_ids), self._num_classes, self._precision.dtype
        group = zarr.open_group(self.path, mode="w", zarr_format=3)
        create_array(group, "softmax", (count, classes, height, width), dtype, float("nan"), per_shard)
        create_array(group, "ties", (count, classes, len(TIES)), "int32", -1, per_shard)
        create_confidence_arrays(group, (count, classes, height, width), dtype, per_shard)
        group.attrs.update(
            {
                "format": FORMAT_NAME,
                "version": FORMAT_VERSION,
                "image_ids": list(image_ids),
                "dtype": dtype,
                "floor": self._floor,
                **attributes,
            }
        )
        return group

    def write_shard(self, index: int, maps: Sequence[NDArray[np.float32]]) -> None:
        """Quantize and write all images of shard `index`, then note the shard as finished.

        Args:
            index: into `shards`.
            maps: one (C, H, W) float32 per image of the shard, at the image's own size; each pixel sums to 1.

        Raises:
            ValueError: a map has another shape than the store expects, or values that are no probabilities.
        """
        rows = self.shards[index]
        if len(maps) != len(rows):
            raise ValueError(f"softmax shard {index} - expected {len(rows)} maps - found {len(maps)} - give one for each image")
        entries = [self._entry(row, probs) for row, probs in zip(rows, maps, strict=True)]
        write_rows(self._group, rows, {"softmax": [entry.softmax for entry in entries]})
        get_array(self._group, "ties")[rows.start : rows.stop] = np.stack([count_ties(probs) for probs in maps]).astype(np.int32)
        write_confidence_rows(self._group, rows, entries, self._sizes)
        for file in self._shard_files(index):
            _sync(file)
        with self._done_list.open("a", encoding="utf-8") as handle:
            handle.write(f"{index}\n")
            handle.flush()
            os.fsync(handle.fileno())
        self.done.add(index)

    def _remove_unfinished(self) -> None:
        # zarr reads a shard before it writes it anew, and would stumble over what a power cut left of one.
        for partial in self.path.rglob("*.partial"):
            partial.unlink()
        for index in set(range(len(self.shards))) - self.done:
            for file in self._shard_files(index):
                file.unlink()

    def _shard_files(self, index: int) -> list[Path]:
        folders = [self.path / name / "c" / str(index) for name in self._group.array_keys()]
        return [file for folder in folders for file in folder.rglob("*") if file.is_file()]

    def _entry(self, row: int, probs: NDArray[np.float32]) -> QuantizedMap:
        expected = (self._num_classes, *self._sizes[row])
        if probs.shape != expected:
            raise ValueError(
                f"softmax map of {self._image_ids[row]} - expected shape {expected} - found {probs.shape}"
                " - match network and image sizes"
            )
        try:
            return quantize(probs, floor=self._floor, dtype=self._precision.dtype)
        except ValueError as error:
            raise ValueError(f"{self._image_ids[row]} - {error}") from error


def _sync(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
