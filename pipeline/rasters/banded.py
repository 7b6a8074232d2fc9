"""Predict an image of any size in windows, with no more of it in memory than a band of them."""

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from itertools import takewhile
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipeline.inference.predictor import Predictor, arg_max
from pipeline.inference.protocol import describe_views
from pipeline.inference.sliding_window import MOST_WINDOWS, window_starts
from pipeline.models.normalization import normalize
from pipeline.params import InferenceParams
from pipeline.rasters.blocks import Block, ImageError, Read

BAND_BYTES = 2**27
"""Of a band of one window's height. Less means narrower stripes, and more windows that two of them need."""
_PIXEL_BYTES = 20
"""Of a band, beside the sums: its pixels as they are read and turned, its labels and confidences."""
BLOCK_BYTES = 2**23
"""Of probabilities of a block of finished rows."""

Corner = tuple[int, int]
"""Top and left of a window, in pixels of the padded image."""


class Stripe(NamedTuple):
    """Columns of the padded image that are predicted from top to bottom before the next.

    Attributes:
        start: first column.
        stop: column behind the last.
        lefts: of all windows that reach into it, ascending; those at its borders reach into a neighbor as well.
    """

    start: int
    stop: int
    lefts: list[int]


class Grid(NamedTuple):
    """The windows of an image: those of `pipeline.inference.sliding_window.predict_windows`.

    Attributes:
        size: height and width of the image.
        window: height and width of a window.
        padding: rows and columns of mean color before the image, where it is smaller than a window.
        padded: height and width with them.
        tops: of the windows in the padded image, ascending.
        lefts: likewise.
    """

    size: tuple[int, int]
    window: tuple[int, int]
    padding: tuple[int, int]
    padded: tuple[int, int]
    tops: list[int]
    lefts: list[int]

    def stripes(self, most_columns: int) -> list[Stripe]:
        """Cut the image into stripes that begin where windows do, each of `most_columns` or of what one window adds."""
        bounds = [0]
        while rest := [left for left in self.lefts if left > bounds[-1]]:
            near = list(takewhile(lambda left: left - bounds[-1] <= most_columns, rest))
            if len(near) == len(rest) and self.padded[1] - bounds[-1] <= most_columns:
                break
            bounds.append(near[-1] if near else rest[0])
        pairs = zip(bounds, [*bounds[1:], self.padded[1]], strict=True)
        return [
            Stripe(start, stop, [left for left in self.lefts if left < stop and left + self.window[1] > start])
            for start, stop in pairs
        ]

    def inside(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Return the part of a rectangle of the padded image that lies in the image, in its own pixels."""
        parts = zip((rows, columns), self.padding, self.size, strict=True)
        first, second = (slice(max(part.start - pad, 0), min(part.stop - pad, side)) for part, pad, side in parts)
        return first, second


class BandedPredictor(Predictor):
    """A predictor that also predicts what does not fit into memory.

    The windows of a stripe of columns are predicted and added in the order in which `predict` takes them; where a row of windows
    begins, the rows above it are finished and leave. Only float32 sums of one stripe and one window's height are kept.
    Each pixel gets the sums, the label and the confidence that `labels_and_confidence` gives it: on a CPU, to the last bit.
    """

    @property
    def by_windows(self) -> bool:
        """Whether the protocol needs no more than a window at a time: windows, at the image's own size and no other scale."""
        params = self._params
        return params.sliding_window and params.long_side is None and tuple(params.scales) == (1.0,)

    @property
    def bytes_per_pixel(self) -> int:
        """What `labels_and_confidence` holds for each pixel at the least, beside the image and what the network needs."""
        return 5 if self._params.long_side is not None else 12 + 4 * self._network.num_classes

    def count_windows(self, size: tuple[int, int]) -> int:
        """Return how many steps `blocks` takes for an image of (height, width).

        Raises:
            ImageError: more than any image is meant to need; the text goes on behind the name of the image.
        """
        grid = self._grid(size)
        return sum(len(grid.tops) * len(stripe.lefts) for stripe in self._stripes(grid))

    @torch.inference_mode()
    def blocks(self, size: tuple[int, int], read: Read) -> Iterator[list[Block]]:
        """Predict an image by windows; see `by_windows`.

        Args:
            size: its height and width.
            read: from rows and columns to (h, w, 3) uint8 RGB; asked for each row of windows of a stripe, from top to bottom.

        Yields:
            For each window, the blocks that are finished with it: mostly none. Together they cover every pixel once.

        Raises:
            ValueError: the network gives NaN, or what `read` raises.
        """
        grid = self._grid(size)
        for stripe in self._stripes(grid):
            yield from self._predict_stripe(grid, stripe, read)

    def _mean(self, maps: Iterable[Tensor]) -> Tensor:
        """Do what a `Predictor` does, but add the classes one after another: the last bit of torch's sum depends on the shape."""
        assert self._average == "probabilities"
        probs = reduce(torch.add, maps)
        total: Tensor = reduce(torch.add, list(probs))
        return probs / total

    def _grid(self, size: tuple[int, int]) -> Grid:
        params = self._params
        window = params.window_height, params.window_width
        padded = max(size[0], window[0]), max(size[1], window[1])
        tops, lefts = (window_starts(padded[axis], window[axis], params.stride_ratio) for axis in (0, 1))
        if (count := len(tops) * len(lefts)) > MOST_WINDOWS:
            raise ImageError(
                f"of {size[0]}x{size[1]} pixels - expected at most {MOST_WINDOWS:,} windows - found {count:,} of"
                f" {window[0]}x{window[1]} - give larger ones by --window, or raise inference.stride_ratio"
            )
        padding = (padded[0] - size[0]) // 2, (padded[1] - size[1]) // 2
        return Grid(size, window, padding, padded, tops, lefts)

    def _stripes(self, grid: Grid) -> list[Stripe]:
        return grid.stripes(BAND_BYTES // ((4 * self._network.num_classes + _PIXEL_BYTES) * grid.window[0]))

    def _predict_stripe(self, grid: Grid, stripe: Stripe, read: Read) -> Iterator[list[Block]]:
        (height, width), columns = grid.window, stripe.stop - stripe.start
        sums = torch.zeros((self._network.num_classes, height, columns), device=self.device)
        visits = torch.zeros((height, columns), device=self.device)
        first = 0  # row of the padded image that is the first of the sums
        for (top, left), inside in self._maps_of_windows(grid, stripe, read):
            finished: list[Block] = []
            if top > first:
                finished = self._finish(grid, stripe, first, sums[:, : top - first], visits[: top - first])
                _move_up(sums, top - first)
                _move_up(visits, top - first)
                first = top
            start, stop = max(left, stripe.start), min(left + width, stripe.stop)
            part = slice(start - stripe.start, stop - stripe.start)
            sums[:, :, part] += inside[:, :, start - left : stop - left]
            visits[:, part] += 1
            if (top, left) == (grid.tops[-1], stripe.lefts[-1]):
                finished += self._finish(grid, stripe, first, sums, visits)
            yield finished

    def _maps_of_windows(self, grid: Grid, stripe: Stripe, read: Read) -> Iterator[tuple[Corner, Tensor]]:
        """Yield each window's corner and (C, h, w) map, row by row."""
        normalized = self._normalized_windows(grid, stripe, read)
        size, count = self._params.batch_size, len(grid.tops) * len(grid.lefts)
        # A network may round otherwise for a batch of one (a product of matrices is then one of a vector), and alike for all
        # others. So alone goes only what in memory is alone: nothing, or the last window of the image.
        alone = (grid.tops[-1], grid.lefts[-1]) if count % size == 1 else None
        batch: list[tuple[Corner, Tensor]] = []
        for corner, window in normalized:
            is_last = corner == (grid.tops[-1], stripe.lefts[-1])
            if corner == alone and batch:
                yield from self._predict_batch(batch, pair=True)
                batch = []
            batch.append((corner, window))
            if len(batch) == size or is_last:
                yield from self._predict_batch(batch, pair=size > 1 and corner != alone)
                batch = []

    def _predict_batch(self, batch: list[tuple[Corner, Tensor]], *, pair: bool) -> Iterator[tuple[Corner, Tensor]]:
        """Yield the maps of some windows; one window is predicted twice where it must be a `pair`."""
        windows = [window for _, window in batch]
        maps = self._windows(torch.stack(windows * 2 if pair and len(windows) == 1 else windows).to(self.device))
        yield from zip((corner for corner, _ in batch), maps, strict=False)

    def _normalized_windows(self, grid: Grid, stripe: Stripe, read: Read) -> Iterator[tuple[Corner, Tensor]]:
        """Yield each window's corner and what the network takes, (3, h, w) float32."""
        (height, width), edge = grid.window, stripe.lefts[-1] + grid.window[1]
        for top in grid.tops:
            rows, columns = grid.inside(slice(top, top + height), slice(stripe.lefts[0], edge))
            band = read(rows, columns)
            for left in stripe.lefts:
                _, part = grid.inside(slice(top, top + height), slice(left, left + width))
                image = band[:, part.start - columns.start : part.stop - columns.start]
                normalized = normalize(image, self._network.backbone.normalization)
                below, right = height - image.shape[0] - grid.padding[0], width - image.shape[1] - grid.padding[1]
                yield (top, left), functional.pad(normalized, (grid.padding[1], right, grid.padding[0], below))

    def _finish(self, grid: Grid, stripe: Stripe, first: int, sums: Tensor, visits: Tensor) -> list[Block]:
        """Return labels and confidences of finished rows from row `first` on, in blocks; padding is left out."""
        height = max(BLOCK_BYTES // (4 * len(sums) * sums.shape[2]), 1)
        blocks = []
        for start in range(0, sums.shape[1], height):
            stop = min(start + height, sums.shape[1])
            rows, columns = grid.inside(slice(first + start, first + stop), slice(stripe.start, stripe.stop))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            probs = self._mean([sums[:, start:stop] / visits[start:stop]])
            top, left = grid.padding[0] + rows.start - first - start, grid.padding[1] + columns.start - stripe.start
            part = probs[:, top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]
            confidence: NDArray[np.float32] = part.amax(dim=0).cpu().numpy()
            blocks.append(Block(rows, columns, self._to_host(arg_max(part)), confidence))
        return blocks


def in_windows(params: InferenceParams, side: int | None, *, say: Callable[[str], None]) -> InferenceParams:
    """Return the protocol with square windows of `side` pixels at the image's own size and scale; with None, as it is.

    `say` is called with a line that names it.

    Raises:
        ValueError: it is no side of a window.
    """
    if side is None:
        return params
    if not 16 <= side <= 8192:
        raise ValueError(f"--window - expected 16 to 8192 pixels - found {side} - give the side of the crops of the training")
    windows = {"long_side": None, "scales": (1.0,), "sliding_window": True, "window_height": side, "window_width": side}
    changed = params.model_copy(update=windows)
    say(f"by --window: {describe_views(changed)}")
    return changed


def _move_up(rows: Tensor, count: int) -> None:
    """Drop the first `count` rows of (..., h, w) in place and put as many of zeros behind the others."""
    kept = rows.shape[-2] - count
    for start in range(0, kept, count):  # parts that do not overlap what they are copied to
        stop = min(start + count, kept)
        rows[..., start:stop, :] = rows[..., start + count : stop + count, :]
    rows[..., kept:, :] = 0
