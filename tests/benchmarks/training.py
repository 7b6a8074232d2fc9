"""The training loop beside the bare step, and what feeds it: decoding, augmentation."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pipeline.machine.device_group import DeviceGroup
from pipeline.models.build import build_network
from pipeline.models.normalization import IMAGENET
from pipeline.params import Params
from pipeline.runtime import prepare_device
from pipeline.samples.catalog import Catalog
from pipeline.samples.sample_lists import Sample
from pipeline.training.batches import Batch
from pipeline.training.decoded import DecodedImages
from pipeline.training.optimizers import build_optimizer
from pipeline.training.plan import TrainingPlan
from pipeline.training.step import train_step
from pipeline.training.training import Training
from pipeline.training.training_set import TrainingSet
from pipeline.transforms.augment import augment
from tests.benchmarks.inference import settings
from tests.benchmarks.maps import NAMES
from tests.benchmarks.measure import measure
from tests.benchmarks.table import Row

CATALOG = Catalog(
    name="bench",
    class_names=NAMES,
    colors=tuple((index, index, index) for index in range(19)),
    train_ids={index: index for index in range(19)},
)


def training(folder: Path, steps: int, *, network: str) -> Iterator[Row]:
    """Compare `steps` steps of the loop, loader and resume points included, with as many bare steps on one batch."""
    params = settings(network)
    crop = f"{params.augmentation.crop_height}x{params.augmentation.crop_width}"
    batch = params.student.labeled_batch_size + params.student.unlabeled_batch_size
    what = f"{steps} steps of {batch} crops of {crop}"
    source = write_images(folder / "images", 64, 256, 512)
    bare = measure(bare_steps, params, steps, repeat=2)
    loop = measure(loop_steps, params, None, steps, repeat=2)
    fed = measure(loop_steps, params, source, steps, repeat=2)
    yield Row(f"training loop, batches at hand: {network}", what, loop, "bare steps", bare)
    yield Row(f"training loop, batches read and augmented beside it: {network}", what, fed, "bare steps", bare)


def feeding(folder: Path, count: int) -> Iterator[Row]:
    """Time what a loader process does for one crop, at the size of Cityscapes."""
    source = write_images(folder / "large", 4, 1024, 2048)
    what = f"{count} crops of 713x713 from 1024x2048"
    decoding = measure(decode, source, count)
    kept = measure(decode_once, source, count)
    yield Row("images kept decoded", what, kept, "decoding PNGs each time", decoding)
    augmenting = measure(augment_crops, source, count)
    sampling = measure(bare_sampling, count)
    yield Row("augmentation", what, augmenting, "one bare grid_sample of image and labels", sampling)


def write_images(folder: Path, count: int, height: int, width: int) -> Path:
    """Write smooth images and their labels, so that PNGs compress as photographs do."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)).resize((width, height))
        noise = rng.integers(0, 8, (height, width, 3), dtype=np.uint8)
        Image.fromarray(np.asarray(coarse) // 2 + noise).save(folder / f"{index}.png")
        labels = rng.integers(0, 19, (height // 64, width // 64), dtype=np.uint8).repeat(64, axis=0).repeat(64, axis=1)
        Image.fromarray(labels).save(folder / f"{index}.labels.png")
    return folder


def sets(source: Path, params: Params) -> list[TrainingSet]:
    """Return the two sets of a student's training; here both have labels of their own."""
    files = sorted(source.glob("*.labels.png"))
    width, height = Image.open(files[0]).size
    samples = [
        Sample(file.name.split(".")[0], height, width, file.with_name(file.name.replace(".labels", "")), "", file, "")
        for file in files
    ]
    sizes = {"labeled": params.student.labeled_batch_size, "unlabeled": params.student.unlabeled_batch_size}
    return [TrainingSet(name, samples, size, CATALOG) for name, size in sizes.items()]


def make_batch(params: Params) -> Batch:
    """Return one batch of random crops."""
    size = (params.augmentation.crop_height, params.augmentation.crop_width)
    counts = (params.student.labeled_batch_size, params.student.unlabeled_batch_size)
    return [(torch.randn(count, 3, *size), torch.randint(0, 19, (count, *size))) for count in counts]


def make_plan(params: Params, steps: int, read: Sequence[TrainingSet]) -> TrainingPlan:
    """Plan the training of a student that reads these sets; none: it is given its batches."""
    return TrainingPlan(
        sets=read,
        steps=steps,
        training=params.training,
        augmentation=params.augmentation,
        scales=(0.5, 2.0),
        seed=0,
        round_key="1",
    )


def bare_steps(params: Params, steps: int) -> Callable[[], None]:
    """Forward, backward and update on one batch that is there already."""
    device = prepare_device(params.runtime)
    torch.manual_seed(0)
    trained = build_network(params.model, len(NAMES)).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = build_optimizer(trained, params.training)
    batch = make_batch(params)

    def work() -> None:
        for _ in range(steps):
            train_step(trained, optimizer, batch, params.training, DeviceGroup(0, 1, device))
        if device.type == "cuda":
            torch.cuda.synchronize()

    return work


def loop_steps(params: Params, source: Path | None, steps: int) -> Callable[[], None]:
    """The same through the loop of the stages and its resume points; on batches of `source`, or on one that is there."""
    group = DeviceGroup(0, 1, prepare_device(params.runtime))
    torch.manual_seed(0)
    trained = build_network(params.model, len(NAMES))
    batch = make_batch(params)
    plan = make_plan(params, steps, [] if source is None else sets(source, params))

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            training = Training(trained, plan, runtime=params.runtime, group=group, folder=Path(folder), save=lambda *_: None)
            for _ in training if source is not None else training.train_on(repeat(batch, steps)):
                pass

    return work


def decode(source: Path, count: int) -> Callable[[], None]:
    """Decode an image and its labels for every crop."""
    one = sets(source, settings("small"))[0]

    def work() -> None:
        for index in range(count):
            one.read(one.samples[index % len(one.samples)])

    return work


def decode_once(source: Path, count: int) -> Callable[[], None]:
    """The same with decoded images kept."""
    one = sets(source, settings("small"))[0]
    decoded = DecodedImages([one], most_bytes=2**30)

    def work() -> None:
        for index in range(count):
            image, labels = decoded.read(0, index % len(one.samples))
            image[:713, :713].copy()
            labels[:713, :713].copy()

    return work


def augment_crops(source: Path, count: int) -> Callable[[], None]:
    """Augment, with every operation as often as the paper has it."""
    params = settings("small").augmentation.model_copy(update={"crop_height": 713, "crop_width": 713})
    one = sets(source, settings("small"))[0]
    image, labels = one.read(one.samples[0])

    def work() -> None:
        for index in range(count):
            augment(image, labels, params, scales=(0.5, 2.0), normalization=IMAGENET, rng=np.random.default_rng(index))

    return work


def bare_sampling(count: int) -> Callable[[], None]:
    """Interpolate one crop of image and labels, and nothing else."""
    source, labels = torch.randn(1, 3, 1024, 2048), torch.randn(1, 1, 1024, 2048)
    rows, cols = torch.meshgrid(torch.linspace(-0.7, 0.5, 713), torch.linspace(-0.6, 0.1, 713), indexing="ij")
    grid = torch.stack([cols, rows], dim=2)[None]

    def work() -> None:
        for _ in range(count):
            torch.nn.functional.grid_sample(source, grid, align_corners=False)
            torch.nn.functional.grid_sample(labels, grid, mode="nearest", align_corners=False)

    return work
