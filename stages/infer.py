"""Stage `infer`: the teacher's softmax maps of every unlabeled image (Sec. 3.1, step 2)."""

from pathlib import Path

import click

from pipeline.files import digest, publish
from pipeline.inference.fill_store import fill_store
from pipeline.inference.predictor import Predictor
from pipeline.machine.work import open_work
from pipeline.models.checkpoints import read_model
from pipeline.params import Params
from pipeline.samples.images import read_image
from pipeline.samples.sample_lists import read_samples
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from stages.command import EXISTING, NEW, echo, fresh_option, parallel_stage_command, run_to_end


@click.command()
@click.option("--teacher", type=EXISTING, required=True, help="Checkpoint of the teacher.")
@click.option("--unlabeled", type=EXISTING, required=True, help="List of unlabeled samples.")
@click.option("--softmax", type=NEW, required=True, help="Softmax store to write.")
@fresh_option
@parallel_stage_command
def main(params: Params, teacher: Path, unlabeled: Path, softmax: Path, *, fresh: bool) -> None:
    """Predict the unlabeled images; goes on at the first shard that an interrupted run did not finish."""
    samples = read_samples(unlabeled, labels=False)
    base = params.runtime.softmax_url
    # Part of the fingerprint: partial work at one URL is none at another.
    sections = params.model_dump(mode="json", include={"inference", "softmax_store"}) | {"softmax_url": base}
    inputs = [teacher, unlabeled]
    with open_work(params.runtime, outs=[softmax], parameters=sections, inputs=inputs, fresh=fresh, on_wait=echo) as work:
        if work.finished:
            return
        checkpoint = read_model(teacher)
        with work.group.first_before_others():
            writer = SoftmaxStoreWriter(
                work.folder,
                image_ids=[sample.image_id for sample in samples],
                sizes=[(sample.height, sample.width) for sample in samples],
                class_names=checkpoint.class_names,
                dtype=params.softmax_store.dtype,
                floor=params.softmax_store.floor,
                shard_mib=params.softmax_store.shard_mib,
                attributes={"teacher_sha256": digest(teacher), "inference": params.inference.model_dump(mode="json")},
                process=work.group.rank,
                url=base and f"{base.rstrip('/')}/{work.folder.name}/softmax.zarr",
            )
        predictor = Predictor(checkpoint.network, params.inference, work.group.device, compiled=params.runtime.compile)
        pending = [index for index in range(len(writer.shards)) if index not in writer.done][work.group.rank :: work.group.size]
        done = fill_store(
            writer, predictor, lambda row: read_image(samples[row].image), shards=pending, workers=params.runtime.workers
        )
        run_to_end(done, total=len(writer.done) + len(pending), unit="shard", done=len(writer.done))
        work.group.barrier()
        if work.group.is_first:
            publish(writer.path, softmax)


if __name__ == "__main__":
    main()
