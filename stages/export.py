"""Command `export`: the model of any round as an ONNX file, which runs without torch."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, anywhere_command, echo, progress


@click.command()
@click.option("--model", type=EXISTING, required=True, help="Model of a round: data/rounds/K/model.safetensors.")
@click.option("--out", type=NEW, required=True, help="File to write, NAME.onnx; one of the same name is replaced.")
@click.option("--height", type=int, required=True, help="Height of the images that the file takes, in pixels.")
@click.option("--width", type=int, required=True, help="Width of the images that the file takes, in pixels.")
@click.option("--batch", default="1", show_default=True, help="Images that it takes at once: a number, or dynamic for any.")
@click.option("--logits", is_flag=True, help="Let it give the logits as well, beside prediction and confidence.")
@click.option("--images", type=NEW, help="Folder of images to compare it with torch on; without it, a few are drawn.")
@anywhere_command
def main(
    own: Params | None, model: Path, out: Path, height: int, width: int, batch: str, images: Path | None, *, logits: bool
) -> None:
    """Write a model as an ONNX file of its own, and hold it against torch first.

    In: RGB images, (N, HEIGHT, WIDTH, 3) uint8. Out: their classes, (N, HEIGHT, WIDTH) uint8, and how probable these are.
    """
    from pipeline.export.images import draw_images, read_images
    from pipeline.export.onnx_file import write_onnx
    from pipeline.export.request import plan_export
    from pipeline.inference.protocol import describe_views
    from pipeline.models.build import describe_licence
    from pipeline.models.checkpoints import read_model
    from pipeline.params import default_params
    from pipeline.runtime import prepare_device

    params = own or default_params()
    shape = plan_export(out, model=model, batch=batch, height=height, width=width)
    # The CPU's kernels are the reference, whatever the machine has.
    prepare_device(params.runtime.model_copy(update={"device": "cpu"}))
    checkpoint = read_model(model)
    echo(
        f"one view of {height}x{width}, no flip; the model was tested with: {describe_views(checkpoint.protocol)}",
        *describe_licence(checkpoint.network),
    )
    seen = draw_images(shape) if images is None else read_images(images, shape, progress=progress)
    agreement = write_onnx(out, checkpoint, shape, seen, source=model, logits=logits, threads=params.runtime.threads)
    echo(f"{out}: {agreement}")


if __name__ == "__main__":
    main()
