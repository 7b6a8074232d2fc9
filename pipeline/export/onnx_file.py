"""A checkpoint as an ONNX file that is there only if it does what the checkpoint does."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.export.agreement import Agreement, compare
from pipeline.export.graph import build_graph, without_logits
from pipeline.export.metadata import describe_checkpoint
from pipeline.export.request import Shape
from pipeline.files import atomic_path, digest
from pipeline.models.checkpoints import Checkpoint


def write_onnx(
    path: Path,
    checkpoint: Checkpoint,
    shape: Shape,
    images: Iterable[NDArray[np.uint8]],
    *,
    source: Path,
    logits: bool,
    threads: int,
) -> Agreement:
    """Export a network, hold the file against it and write it, whole or not at all; equal checkpoints give equal bytes.

    Args:
        path: an existing file is replaced.
        checkpoint: what to export.
        shape: of the images that the file takes.
        images: to compare on, (H, W, 3) each.
        source: the file of the checkpoint.
        logits: whether the file gives them, beside prediction and confidence.
        threads: to run the file with.

    Raises:
        ValueError: see `build_graph` and `compare`.
    """
    where = str(source)
    whole = build_graph(checkpoint.network, shape, describe_checkpoint(checkpoint, sha256=digest(source)), where=where)
    content = whole if logits else without_logits(whole)
    # The file itself is run, and beside it the one that shows its logits: predictions alone would hide a difference.
    agreement = compare({whole, content}, checkpoint.network, shape, images, threads=threads, where=where)
    with atomic_path(path) as partial:
        partial.write_bytes(content)
    return agreement
