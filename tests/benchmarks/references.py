"""Other ways from softmax maps to pseudo labels, written anew from descriptions.

`release` does what the paper's public release is described to do: maps are kept and computed with in float16, every confidence is
a float in a Python list, full sorts, a boolean pass per class. `sorting` is the obvious vectorized way: arrays of all confidences
in float32, sorted by numpy.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.maps import ALPHA, NUM_CLASSES, read_maps

_SHARES = np.arange(NUM_CLASSES, 0, -1) ** 2 / (np.arange(NUM_CLASSES, 0, -1) ** 2).sum()


def release(maps: Path, out: Path) -> Callable[[], None]:
    """Label as the release does."""
    return lambda: _release(maps, out)


def _release(maps: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    banked: list[list[float]] = [[] for _ in range(NUM_CLASSES)]
    pixels = 0
    for probs in read_maps(maps):
        prediction, confidence = probs.argmax(axis=0), probs.max(axis=0)
        pixels += prediction.size
        for label in range(NUM_CLASSES):
            banked[label].extend(confidence[prediction == label].tolist())
    thresholds, rates = [], []
    for label in range(NUM_CLASSES):
        ordered = sorted(banked[label], reverse=True)
        wanted = min(round(ALPHA * pixels * float(_SHARES[label])), len(ordered))
        thresholds.append(ordered[wanted - 1] if wanted else 2.0)
        qualifying = sum(1 for value in ordered if value >= thresholds[label])
        rates.append(wanted / qualifying if qualifying else 0.0)
    rng = np.random.default_rng(0)
    for index, probs in enumerate(read_maps(maps)):
        prediction, confidence = probs.argmax(axis=0), probs.max(axis=0)
        labels = np.full(prediction.shape, 255, np.uint8)
        for label in range(NUM_CLASSES):
            mask = (prediction == label) & (confidence >= thresholds[label])
            rows, cols = np.nonzero(mask)
            kept = rng.permutation(len(rows))[: round(rates[label] * len(rows))]
            labels[rows[kept], cols[kept]] = label
        _save(labels, out / f"{index:05}.png")


def sorting(maps: Path, out: Path) -> Callable[[], None]:
    """Label with numpy's sort of all confidences of a class."""
    return lambda: _sorting(maps, out)


def _sorting(maps: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    predictions, confidences = [], []
    for probs in read_maps(maps):
        # numpy is many times slower on float16 than on float32.
        values = probs.astype(np.float32)
        predictions.append(values.argmax(axis=0).astype(np.uint8))
        confidences.append(values.max(axis=0))
    all_predictions = np.concatenate([one.ravel() for one in predictions])
    all_confidences = np.concatenate([one.ravel() for one in confidences])
    rng = np.random.default_rng(0)
    kept = np.full(all_predictions.shape, 255, np.uint8)
    for label in range(NUM_CLASSES):
        places = np.flatnonzero(all_predictions == label)
        wanted = min(round(ALPHA * all_predictions.size * float(_SHARES[label])), len(places))
        if wanted == 0:
            continue
        threshold = np.sort(all_confidences[places])[-wanted]
        qualifying = places[all_confidences[places] >= threshold]
        kept[rng.choice(qualifying, wanted, replace=False)] = label
    starts = np.cumsum([0, *(one.size for one in predictions)])
    for index, prediction in enumerate(predictions):
        _save(kept[starts[index] : starts[index + 1]].reshape(prediction.shape), out / f"{index:05}.png")


def _save(labels: NDArray[np.uint8], path: Path) -> None:
    Image.fromarray(labels).save(path)
