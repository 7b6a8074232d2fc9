"""A training as an object: where it resumes, its steps one by one, what it writes."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.curve import CurveRow, append_row, begin_curve, write_curve
from pipeline.machine.device_group import DeviceGroup
from pipeline.models.network import SegmentationNetwork
from pipeline.models.snapshots import publish_snapshots, snapshot_path, snapshot_steps
from pipeline.params import RuntimeParams
from pipeline.runtime import seed_torch
from pipeline.training.batches import Batch, Crops, load_batches, size_loader
from pipeline.training.block_checkpoints import checkpoint_blocks
from pipeline.training.data_parallel import wrap_data_parallel
from pipeline.training.moving_average import MovingAverage
from pipeline.training.optimizers import build_optimizer
from pipeline.training.plan import TrainingPlan
from pipeline.training.resume import read_resume_point, write_resume_point
from pipeline.training.schedules import poly_factor
from pipeline.training.step import train_step


class StepRecord(NamedTuple):
    """What there is to tell of one step."""

    step: int
    """Steps done."""
    row: CurveRow | None
    """The row of the curve that ends with this step, if one does."""

    def describe_losses(self) -> str:
        """Return the losses of the row, labeled and unlabeled: "loss 1.234 + 0.456"; "" where no row ends."""
        if self.row is None:
            return ""
        unlabeled = f" + {self.row.loss_unlabeled:.3f}" if self.row.loss_unlabeled else ""
        return f"loss {self.row.loss_labeled:.3f}{unlabeled}"


class Training:
    """A network in training: goes on where an interrupted run stopped; iterate over it once, and it does the steps left.

    The network that it is given is changed in place.

    Attributes:
        steps: of the whole training.
        first_step: steps done by an interrupted run; 0 for a new training.
        rows: of the curve so far, those of an interrupted run included.
        result: what is written after the last step: the network, or its moving average where the plan has one.
        loader: the processes that read for it.
        live_curve: a file that grows by every row, for a person to watch; it ends with the folder.
        remarks: what a person should know of the start, one to a line.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        plan: TrainingPlan,
        *,
        runtime: RuntimeParams,
        group: DeviceGroup,
        folder: Path,
        save: Callable[[Path, SegmentationNetwork], None],
    ) -> None:
        """Move the network to its device, and back to the resume point in `folder` if there is one.

        Args:
            network: with its first weights, the same in every process.
            plan: what to do.
            runtime: section.
            group: the processes that train together; every one of them makes a `Training`.
            folder: holds resume point, snapshots and live curve; the first process alone writes to it.
            save: writes a network as a checkpoint, whole or not at all.

        A damaged resume point is as good as none: it only saves time.
        """
        self.steps = plan.steps
        self.live_curve = folder / "curve.tsv"
        self._network = network.to(group.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        if plan.training.freeze_backbone:
            network.backbone.requires_grad_(requires_grad=False).eval()
        self._average = MovingAverage(network, plan.ema_decay)
        self.result = self._average.network
        if plan.training.checkpoint_blocks:
            checkpoint_blocks(network.backbone)
        self._plan, self._runtime, self._group = plan, runtime, group
        self._optimizer = build_optimizer(network, plan.training)
        self.loader = size_loader(plan, workers=runtime.loader_workers, group=group)
        self._folder, self._save = folder, save
        self._resume_point = folder / "resume.safetensors"
        self.remarks = [f"the curve so far grows in {self.live_curve}", *filter(None, [self.loader.remark])]
        try:
            self.first_step, self.rows = read_resume_point(self._resume_point, self._average.networks(), self._optimizer)
            self._average.resume(self.first_step)
        except ValueError as error:
            self.first_step, self.rows = 0, []
            self.remarks.append(f"{error} - starting over")
        if group.is_first:
            # Rows beyond the resume point are trained again: what a killed run had written of them goes.
            begin_curve(self.live_curve, self.rows)
        group.barrier()  # Nobody writes the next resume point while others read this one.

    def __iter__(self) -> Iterator[StepRecord]:
        """Do the steps left on random crops of the plan's sets, and yield a record of each.

        Raises:
            ValueError: a loss is not finite, a file is missing or damaged, or a batch cannot be shared evenly.
        """
        crops = Crops(
            self._plan,
            normalization=self._network.backbone.normalization,
            cache_bytes=int(self._runtime.cache_gib * 2**30) // self._group.size,
        )
        return self.train_on(load_batches(crops, first_step=self.first_step, loader=self.loader, group=self._group))

    def train_on(self, batches: Iterable[Batch]) -> Iterator[StepRecord]:
        """Do the same on given batches.

        Args:
            batches: of the steps left, this process's part of each.

        Raises:
            ValueError: a loss is not finite.
        """
        plan, params = self._plan, self._plan.training
        trained: nn.Module = self._network if self._group.size == 1 else wrap_data_parallel(self._network, self._group)
        if self._runtime.compile:
            trained.compile()
        snapshots = {*snapshot_steps(params.snapshot_every, plan.steps)}
        window: list[Tensor] = []
        resumable = self.first_step
        for done, batch in enumerate(batches, start=self.first_step + 1):
            # Dropout is the one draw left to torch: seeding it by the step makes it a function of the step.
            seed_torch(plan.seed, "dropout", plan.round_key, done - 1)
            factor = poly_factor(done - 1, plan.steps, power=params.poly_power, rounds_before=plan.rounds_before)
            for parameters in self._optimizer.param_groups:
                parameters["lr"] = params.learning_rate * parameters["factor"] * factor
            window.append(train_step(trained, self._optimizer, batch, params, self._group))
            self._average.update()
            if self._group.is_first and done in snapshots:
                self._save(snapshot_path(self._folder, done), self.result)
            if done % params.log_every and done != plan.steps:
                yield StepRecord(done, None)
                continue
            self.rows.append(_mean_row(done, self._group.sum(torch.stack(window)), params.learning_rate * factor))
            window.clear()
            if self._group.is_first:
                append_row(self.live_curve, self.rows[-1])
                # Only at the end of a row, so that no part of one needs to be kept.
                if done - resumable >= self._runtime.checkpoint_every or done == plan.steps:
                    write_resume_point(self._resume_point, self._average.networks(), self._optimizer, step=done, rows=self.rows)
                    resumable = done
            yield StepRecord(done, self.rows[-1])

    def write(self, *, model: Path, curve: Path, snapshots: Path) -> None:
        """Write network, curve and snapshots of a finished training, in the first process alone."""
        if self._group.is_first:
            write_curve(curve, self.rows)
            publish_snapshots(snapshots, self._folder, every=self._plan.training.snapshot_every, last_step=self.steps)
            self._save(model, self.result)


def _mean_row(step: int, losses: Tensor, learning_rate: float) -> CurveRow:
    labeled, unlabeled = losses.double().mean(dim=0).tolist()
    if not math.isfinite(labeled + unlabeled):
        raise ValueError(
            f"training - step {step} - expected finite losses - found {labeled} labeled, {unlabeled} unlabeled"
            " - lower training.learning_rate or check the images"
        )
    return CurveRow(step, labeled, unlabeled, learning_rate)
