"""Write a softmax store shard by shard, so that an interrupted run goes on at the first shard that is not on disk."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from pipeline.files import digest, write_text
from pipeline.params import StoreParams
from pipeline.softmax_store.arrays import (
    SOFTMAX_ARRAYS,
    chunk_sides,
    create_array,
    create_confidence_arrays,
    get_array,
    write_confidence_rows,
    write_rows,
)
from pipeline.softmax_store.location import is_sealed, open_group, remote_errors, seal_group, write_location
from pipeline.softmax_store.quantized_map import TIES, QuantizedMap, precision_of

FORMAT_NAME = "dars-softmax-store"
FORMAT_VERSION = 4


class SoftmaxStoreWriter:
    """A store under construction in a scratch folder. Several processes may write it, each whole shards that no other writes.

    Attributes:
        shards: images of each shard, as index ranges.
        done: shards that are on disk, whole, from this or an earlier, interrupted run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        image_ids: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        class_names: Sequence[str],
        params: StoreParams,
        attributes: Mapping[str, Any],
        process: int = 0,
        url: str | None = None,
    ) -> None:
        """Create the store, or take up one that an earlier run left behind.

        Process 0 does that; only then, and before any shard is written, the others open what is there.

        Args:
            folder: scratch folder; the store grows in `folder/softmax.zarr`, lists of finished shards beside it.
            image_ids: (N,) in the order of the store.
            sizes: (N,) height and width of each image.
            class_names: (C,).
            params: section by which the maps that come are quantized.
            attributes: provenance, written into the store: the teacher's digest, the inference settings.
            process: number of this process among those that write the store.
            url: where the arrays shall lie instead of in the folder, of any file system that fsspec knows; a store that lies
                there and that this run did not begin is replaced.
        """
        if params.floor * len(class_names) >= 1:
            raise ValueError(
                f"params.yaml - softmax_store.floor - expected less than 1/{len(class_names)}, so that no pixel loses its largest"
                f" probability - found {params.floor} - lower it"
            )
        self.path = folder / "softmax.zarr"
        self._url = url
        self._image_ids = list(image_ids)
        self._done_list = folder / f"done-{process}.txt"
        self._sizes = list(sizes)
        self._num_classes = len(class_names)
        self._params = params
        self._arrays = SOFTMAX_ARRAYS[params.keep]
        kept = self._num_classes if params.keep == "all" else 1
        height, width = (max(size[axis] for size in sizes) for axis in (0, 1))
        # Of small images, the counts are larger than the softmax map.
        columns = precision_of(params.dtype, self._num_classes).num_columns
        image_bytes = max(kept * np.dtype(params.dtype).itemsize * height * width, self._num_classes * 4 * columns)
        per_shard = min(max(int(params.shard_mib * 2**20 // image_bytes), 1), len(image_ids))
        self.shards = [range(start, min(start + per_shard, len(image_ids))) for start in range(0, len(image_ids), per_shard)]
        self.done: set[int] = set()
        # The list of process 0 is made after the arrays, so where both exist they are complete. A list without a store is left by
        # a kill between the store's move to its place and the end of the stage.
        begun = process > 0 or (self._done_list.exists() and self.path.exists())
        if begun and (group := self._take_up()) is not None:
            self._group, self.done = group, self._finished()
        else:
            assert process == 0, "the first process makes the store"
            for stale in self._done_lists():
                stale.unlink()
            names = {**attributes, "class_names": list(class_names)}
            with remote_errors(url):
                self._group = self._create(image_ids, height, width, per_shard, names)
            if url is not None:
                write_location(self.path, url)
        if process == 0:
            write_text(self._done_list, "".join(self._done_line(index) for index in sorted(self.done)))
            for other in set(self._done_lists()) - {self._done_list}:
                other.unlink()
            self._remove_unfinished()

    @property
    def pending(self) -> list[int]:
        """Shards that are not on disk yet."""
        return [index for index in range(len(self.shards)) if index not in self.done]

    def _take_up(self) -> zarr.Group | None:
        """Return the store that is there; None where its metadata are damaged, which is as good as no store."""
        with remote_errors(self._url):
            try:
                group = open_group(self.path, self._url, "r+")
                return group if is_sealed(group, self.path, self._url, self._arrays) else None
            except (KeyError, TypeError, ValueError, FileNotFoundError):
                if self._url is not None:
                    raise
                return None

    def _finished(self) -> set[int]:
        """Return the shards that are on disk and whole, whichever process wrote them."""
        # What follows the last line end was cut short by a kill, and does not count; nor does what a damaged line says.
        lines = {line for path in self._done_lists() for line in path.read_bytes().split(b"\n")[:-1]}
        return {index for index in range(len(self.shards)) if self._done_line(index).rstrip("\n").encode() in lines}

    def _done_line(self, index: int) -> str:
        """Return what the list of finished shards says of a shard as it lies on disk: its number and the sha256 of its files.

        At a URL the storage keeps checksums of its own, and nothing is read again.
        """
        total = hashlib.sha256()
        for file in self._shard_files(index):
            total.update(f"{file.relative_to(self.path).as_posix()} {digest(file)}\n".encode())
        return f"{index} {total.hexdigest()}\n"

    def _done_lists(self) -> list[Path]:
        return sorted(self._done_list.parent.glob("done-*.txt"))

    def _create(
        self, image_ids: Sequence[str], height: int, width: int, per_shard: int, attributes: Mapping[str, Any]
    ) -> zarr.Group:
        count, classes, dtype = len(image_ids), self._num_classes, self._params.dtype
        group = open_group(self.path, self._url, "w")
        sides = chunk_sides(self._sizes)
        if "softmax" in self._arrays:
            create_array(group, "softmax", (count, classes, height, width), dtype, float("nan"), per_shard, sides)
        create_array(group, "ties", (count, classes, len(TIES)), "int32", -1, per_shard)
        create_confidence_arrays(group, (count, classes, height, width), dtype, per_shard, sides)
        known: dict[str, Any] = {"format": FORMAT_NAME, "version": FORMAT_VERSION, "image_ids": list(image_ids), "dtype": dtype}
        # A store of all says nothing of it, so that its bytes are those of stores from before there was a choice.
        known |= {} if self._params.keep == "all" else {"keep": self._params.keep}
        group.attrs.update({**known, "average": self._params.average, "floor": self._params.floor, **attributes})
        seal_group(group, self.path, self._url, self._arrays)
        return group

    def write_shard(self, index: int, entries: Sequence[QuantizedMap]) -> None:
        """Write all images of shard `index`, an entry for each, then note the shard as finished.

        Raises:
            ValueError: an entry is missing or has another shape than the store expects, or the store's URL does not answer.
        """
        rows = self.shards[index]
        if len(entries) != len(rows):
            raise ValueError(
                f"softmax shard {index} - expected {len(rows)} maps - found {len(entries)} - give one for each image"
            )
        for row, entry in zip(rows, entries, strict=True):
            self._check(row, entry)
        with remote_errors(self._url):
            if "softmax" in self._arrays:
                write_rows(self._group, rows, "softmax", [entry.softmax for entry in entries])
            get_array(self._group, "ties")[rows.start : rows.stop] = np.stack([entry.ties for entry in entries])
            write_confidence_rows(self._group, rows, entries, self._sizes)
        for file in self._shard_files(index):
            _sync(file)
        with self._done_list.open("a", encoding="utf-8") as handle:
            handle.write(self._done_line(index))
            handle.flush()
            os.fsync(handle.fileno())
        self.done.add(index)

    def _remove_unfinished(self) -> None:
        # zarr reads a shard before it writes it anew, and would stumble over what a power cut left of one. At a URL there is
        # nothing of the kind: objects are whole or absent.
        for partial in self.path.rglob("*.partial"):
            partial.unlink()
        for index in self.pending:
            for file in self._shard_files(index):
                file.unlink()

    def _shard_files(self, index: int) -> list[Path]:
        folders = [self.path / name / "c" / str(index) for name in self._arrays]
        return [file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()]

    def _check(self, row: int, entry: QuantizedMap) -> None:
        expected = (self._num_classes if self._params.keep == "all" else 0, *self._sizes[row])
        assert entry.softmax.dtype == self._params.dtype, "maps come in the precision that the store was opened with"
        if entry.softmax.shape != expected:
            raise ValueError(
                f"{self._image_ids[row]} - softmax map - expected shape {expected} - found {entry.softmax.shape}"
                " - match network and image sizes"
            )


def _sync(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
