"""Trainings small enough for a test, on batches at hand or on a few images that are drawn."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pipeline.curve import CurveRow
from pipeline.machine.device_group import DeviceGroup
from pipeline.models.checkpoints import write_model
from pipeline.models.network import SegmentationNetwork
from pipeline.params import RuntimeParams, TrainingParams, read_params
from pipeline.samples.catalog import Catalog
from pipeline.samples.images import write_label_png
from pipeline.samples.sample_lists import Sample
from pipeline.training.batches import Batch
from pipeline.training.plan import TrainingPlan
from pipeline.training.training import Training
from pipeline.training.training_set import TrainingSet
from tests.models.sections import PROTOCOL, model_params
from tests.workspace import ROOT

PARAMS = read_params(ROOT / "params.yaml")
TRAINING: TrainingParams = PARAMS.training.model_copy(update={"log_every": 2})
RUNTIME: RuntimeParams = PARAMS.runtime.model_copy(update={"checkpoint_every": 4, "loader_workers": 0})
ALONE = DeviceGroup(0, 1, torch.device("cpu"))
SMALL = model_params(head_width=8)
CATALOG = Catalog(name="toy", class_names=("a", "b"), colors=((0, 0, 0), (9, 9, 9)), train_ids={0: 0, 1: 1})


def start(
    network: SegmentationNetwork,
    folder: Path,
    *,
    steps: int,
    params: TrainingParams = TRAINING,
    runtime: RuntimeParams = RUNTIME,
    group: DeviceGroup = ALONE,
    ema_decay: float = 0.0,
) -> Training:
    """Begin a training, or go on with it, that is to be given its batches."""
    plan = TrainingPlan(
        sets=[],
        steps=steps,
        training=params,
        augmentation=PARAMS.augmentation,
        scales=(1.0, 1.0),
        seed=3,
        round_key="1",
        ema_decay=ema_decay,
    )
    return Training(network, plan, runtime=runtime, group=group, folder=folder, save=save)


def save(path: Path, network: SegmentationNetwork) -> None:
    """Write a network as a checkpoint of the toy's classes, whatever it was built from."""
    names, colors = CATALOG.class_names, CATALOG.colors
    if network.num_classes == CATALOG.num_classes:
        write_model(path, network, model_params=SMALL, protocol=PROTOCOL, class_names=names, colors=colors)


def finish(training: Training, batches: Iterator[Batch], *, stop: int | None = None) -> list[CurveRow]:
    """Train to the end, or to an interruption after step `stop`; return the rows of the curve."""
    for record in training.train_on(batches):
        if record.step == stop:
            break
    return training.rows


def draw_sets(folder: Path) -> list[TrainingSet]:
    """Write five images with labels; those of the second set also have pseudo labels, all ignored."""
    rng = np.random.default_rng(0)
    samples = []
    (folder / "pseudo").mkdir()
    for index in range(5):
        image, labels = folder / f"i{index}.png", folder / f"l{index}.png"
        Image.fromarray(rng.integers(0, 255, (16, 20, 3), dtype=np.uint8)).save(image)
        Image.fromarray(rng.integers(0, 2, (16, 20), dtype=np.uint8)).save(labels)
        write_label_png(folder / "pseudo" / f"s{index}.png", np.full((16, 20), 255, np.uint8), CATALOG.colors)
        samples.append(Sample(f"s{index}", 16, 20, image, "", labels, ""))
    return [
        TrainingSet("labeled", samples[:2], 3, CATALOG),
        TrainingSet("unlabeled", samples[2:], 2, CATALOG, folder / "pseudo"),
    ]
