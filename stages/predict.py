"""Command `predict`: label maps of a folder of images by the model of any round."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, anywhere_command, echo, progress


@click.command()
@click.option("--model", type=EXISTING, required=True, help="Model of a round: data/rounds/K/model.safetensors.")
@click.option("--images", type=NEW, required=True, help="Folder of images, searched with its subfolders, or one image.")
@click.option("--out", type=NEW, required=True, help="Folder for the results; files of the same names are replaced.")
@click.option("--overlays", is_flag=True, help="Paint the classes over the images as well, into OUT/overlays.")
@click.option("--confidence", is_flag=True, help="Write the confidence of each pixel in 255ths as well, into OUT/confidence.")
@click.option(
    "--format",
    "name",
    type=click.Choice(["labels", "cityscapes", "voc"]),
    default="labels",
    show_default=True,
    help="labels: palette PNGs of train ids in OUT/labels; cityscapes: label ids in OUT/cityscapes; voc: OUT/results/VOC2012.",
)
@click.option(
    "--protocol",
    type=click.Choice(["model", "params"]),
    default="model",
    show_default=True,
    help="By the test protocol that the model holds, or by that of `inference` in params.yaml.",
)
@click.option(
    "--window",
    type=int,
    help="Predict in windows of so many pixels a side, at the image's own size: for images that do not fit into memory.",
)
@anywhere_command
def main(
    own: Params | None,
    model: Path,
    images: Path,
    out: Path,
    *,
    overlays: bool,
    confidence: bool,
    name: str,
    protocol: str,
    window: int | None,
) -> None:
    """Predict every image of a folder; what a killed run has done is not done again."""
    from pipeline.datasets.raw_files import passed_over
    from pipeline.inference.protocol import choose_protocol, describe_views
    from pipeline.models.checkpoints import read_model
    from pipeline.params import default_params
    from pipeline.predictions.jobs import plan_jobs
    from pipeline.predictions.legend import write_legend
    from pipeline.predictions.resume import begin, finish
    from pipeline.predictions.run import run_jobs
    from pipeline.rasters.banded import BandedPredictor, in_windows
    from pipeline.runtime import prepare_device

    if own is None and protocol == "params":
        raise ValueError("--protocol params - expected params.yaml of a workspace in this folder - found none - leave it out")
    checkpoint = read_model(model)
    names = checkpoint.class_names
    jobs = plan_jobs(images, out, name=name, class_names=names, overlays=overlays, confidences=confidence)
    echo(*passed_over(images))
    params = own or default_params()
    known = params.inference if own else params.inference.model_copy(update=dict(checkpoint.protocol))
    chosen = choose_protocol(known, checkpoint.protocol, ours=protocol == "params", say=echo)
    chosen = in_windows(chosen, window, say=echo)
    predictor = BandedPredictor(checkpoint.network, chosen, prepare_device(params.runtime), compiled=params.runtime.compile)
    write_legend(out, name=name, class_names=names, colors=checkpoint.colors)
    left = begin(out, jobs, model=model, protocol=describe_views(chosen))
    run_jobs(left, predictor, checkpoint.colors, progress=progress)
    finish(out)
    there = f", {len(jobs) - len(left)} of them from a run that did not end" if len(left) < len(jobs) else ""
    echo(f"{len(jobs)} predictions in {out}{there}; legend.json says what their values mean")


if __name__ == "__main__":
    main()
