"""Predict a large image in overlapping windows and average where they overlap."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

MOST_WINDOWS = 100_000
"""In one image: more are a mistake in the parameters, and days of work."""


def window_starts(length: int, window: int, stride_ratio: float) -> list[int]:
    """Return where windows begin along one side, so that every pixel is covered and none begins past the end, as in the release.

    Args:
        length: side of the image, in pixels.
        window: side of the window.
        stride_ratio: step from window to window over the window's side, in (0, 1].

    Returns:
        Ascending; the last window ends with the image. One window if the image is not longer than it.
    """
    if length <= window:
        return [0]
    stride = math.ceil(window * stride_ratio)
    starts = list(range(0, length - window, stride))
    return [*starts, length - window]


def predict_windows(
    predict: Callable[[Tensor], Tensor], image: Tensor, *, window: tuple[int, int], stride_ratio: float, batch_size: int
) -> Tensor:
    """Average the maps of all windows over each pixel.

    Args:
        predict: (B, 3, h, w) normalized windows to (B, C, h, w) probabilities or logits.
        image: (3, H, W) float32, normalized; where it is smaller than a window it is padded with 0, the mean color, on both
            sides alike, as training crops are.
        window: (h, w) of a window.
        stride_ratio: see `window_starts`.
        batch_size: windows per forward pass.

    Returns:
        (C, H, W) float32.

    Raises:
        ValueError: the image would need more than `MOST_WINDOWS`.
    """
    height, width = image.shape[1:]
    missing_rows, missing_columns = max(window[0] - height, 0), max(window[1] - width, 0)
    top_rows, left_columns = missing_rows // 2, missing_columns // 2
    borders = (left_columns, missing_columns - left_columns, top_rows, missing_rows - top_rows)
    padded = functional.pad(image, borders)
    tops, lefts = (window_starts(padded.shape[axis + 1], window[axis], stride_ratio) for axis in (0, 1))
    if (count := len(tops) * len(lefts)) > MOST_WINDOWS:
        raise ValueError(
            f"params.yaml - inference - expected at most {MOST_WINDOWS:,} windows in an image - found {count:,} of"
            f" {window[0]}x{window[1]} in {padded.shape[1]}x{padded.shape[2]} - raise stride_ratio or the window's sides"
        )
    corners = [(top, left) for top in tops for left in lefts]
    total: Tensor | None = None
    visits = torch.zeros(padded.shape[1:], device=image.device)
    for begin in range(0, len(corners), batch_size):
        part = corners[begin : begin + batch_size]
        maps = predict(torch.stack([padded[:, top : top + window[0], left : left + window[1]] for top, left in part]))
        if total is None:
            total = maps.new_zeros((maps.shape[1], *padded.shape[1:]))
        for (top, left), inside in zip(part, maps, strict=True):
            total[:, top : top + window[0], left : left + window[1]] += inside
            visits[top : top + window[0], left : left + window[1]] += 1
    assert total is not None
    return (total / visits)[:, top_rows : top_rows + height, left_columns : left_columns + width]
