"""Stage `infer`: the teacher's softmax maps of every unlabeled image (Sec. 3.1, step 2)."""

from pathlib import Path

import click

from pipeline.datasets.images import read_image
from pipeline.datasets.samples import read_samples
from pipeline.files import digest, publish
from pipeline.inference.predict import Predictor
from pipeline.models.checkpoints import read_model
from pipeline.runtime import prepare_device
from pipeline.scratch import open_scratch
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from stages.door import EXISTING, NEW, fresh_option, load_params, one_line_errors, progress, say


@click.command()
@click.option("--teacher", type=EXISTING, required=True, help="Checkpoint of the teacher.")
@click.option("--unlabeled", type=EXISTING, required=True, help="List of unlabeled samples.")
@click.option("--softmax", type=NEW, required=True, help="Softmax store to write.")
@fresh_option
@one_line_errors
def main(teacher: Path, unlabeled: Path, softmax: Path, *, fresh: bool) -> None:
    """Predict the unlabeled images; goes on at the first shard that an interrupted run did not finish."""
    params = load_params()
    samples = read_samples(unlabeled, labels=False)
    sections = params.model_dump(mode="json", include={"inference", "softmax_store"})
    with open_scratch(outs=[softmax], parameters=sections, inputs=[teacher, unlabeled], fresh=fresh, on_wait=say) as scratch:
        if scratch.finished:
            return
        checkpoint = read_model(teacher)
        writer = SoftmaxStoreWriter(
            scratch.folder,
            image_ids=[sample.image_id for sample in samples],
            sizes=[(sample.height, sample.width) for sample in samples],
            class_names=checkpoint.class_names,
            dtype=params.softmax_store.dtype,
            floor=params.softmax_store.floor,
            shard_mib=params.softmax_store.shard_mib,
            attributes={"teacher_sha256": digest(teacher), "inference": params.inference.model_dump(mode="json")},
        )
        predictor = Predictor(checkpoint.network, params.inference, prepare_device(params.runtime))
        pending = [index for index in range(len(writer.shards)) if index not in writer.done]
        for index in progress(pending, total=len(writer.shards), unit="shard", initial=len(writer.done)):
            rows = writer.shards[index]
            writer.write_shard(index, [predictor.probabilities(read_image(samples[row].image)) for row in rows])
        publish(writer.path, softmax)


if __name__ == "__main__":
    main()
