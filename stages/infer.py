"""Stage `infer`: the teacher's softmax maps of every unlabeled image (Sec. 3.1, step 2)."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, echo, fresh_option, parallel_stage_command, run_to_end


@click.command()
@click.option("--teacher", type=EXISTING, required=True, help="Checkpoint of the teacher.")
@click.option("--unlabeled", type=EXISTING, required=True, help="List of unlabeled samples.")
@click.option("--softmax", type=NEW, required=True, help="Softmax store to write.")
@fresh_option
@parallel_stage_command
def main(params: Params, teacher: Path, unlabeled: Path, softmax: Path, *, fresh: bool) -> None:
    """Predict the unlabeled images; goes on at the first shard that an interrupted run did not finish."""
    from pipeline.files import digest, publish
    from pipeline.inference.fill_store import begin_store, fill_store
    from pipeline.inference.predictor import Predictor
    from pipeline.machine.work import open_work
    from pipeline.models.checkpoints import read_model
    from pipeline.samples.sample_lists import read_samples

    samples = read_samples(unlabeled, labels=False)
    # The URL is part of the fingerprint: partial work at one is none at another.
    url, inputs = params.runtime.softmax_url, [teacher, unlabeled]
    sections = params.model_dump(mode="json", include={"inference", "softmax_store"}) | {"softmax_url": url}
    with open_work(params.runtime, outs=[softmax], parameters=sections, inputs=inputs, fresh=fresh, on_wait=echo) as work:
        if work.finished:
            return
        checkpoint = read_model(teacher)
        with work.group.first_before_others():
            writer = begin_store(
                work.folder,
                samples,
                checkpoint.class_names,
                params.softmax_store,
                attributes={"teacher_sha256": digest(teacher), "inference": sections["inference"]},
                process=work.group.rank,
                base_url=url,
            )
        average, compiled = params.softmax_store.average, params.runtime.compile
        predictor = Predictor(checkpoint.network, params.inference, work.group.device, average=average, compiled=compiled)
        done, pending = len(writer.done), writer.pending[work.group.rank :: work.group.size]
        filled = fill_store(writer, predictor, samples, params.softmax_store, shards=pending, workers=params.runtime.workers)
        run_to_end(filled, total=done + len(pending), unit="shard", done=done)
        work.group.barrier()
        if work.group.is_first:
            publish(writer.path, softmax)


if __name__ == "__main__":
    main()
