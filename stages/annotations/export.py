"""Command `annotations export`: pseudo labels or predictions as CVAT, Label Studio or COCO take them."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import NEW, echo, progress, stage_command


@click.command("export")
@click.option(
    "--format", "name", type=click.Choice(["cvat", "label-studio", "coco"]), required=True, help="Tool that takes the labels."
)
@click.option("--out", type=NEW, required=True, help="Folder to write; an earlier export there is replaced, nothing else.")
@click.option("--round", "round_key", help="Key of a round: its pseudo labels, and the table of `suggest`.")
@click.option("--predictions", type=NEW, help="Folder that `predict` wrote; its labels instead of the round's.")
@click.option("--images", type=NEW, help="With --predictions: the folder of images that was predicted.")
@click.option("--suggested", is_flag=True, help="Only images that `suggest` has suggested for the round, the best first.")
@click.option("--list", "chosen", type=NEW, help="Only images of this text file, one id to a line.")
@click.option(
    "--ignored",
    type=click.Choice(["label", "open"]),
    help="Pixels without a class: as a label of their own, or open; without this, a label where `background` is a class.",
)
@click.option(
    "--url-prefix",
    default="/data/local-files/?d=",
    show_default=True,
    help="Label Studio: what stands before the name of an image in its URL.",
)
@click.option("--copy-images", is_flag=True, help="Copy the images into OUT/images, to be uploaded.")
@click.option("--prepared", type=NEW, default="data/prepared", show_default=True, help="Folder that `prepare` wrote.")
@click.option("--rounds", type=NEW, default="data/rounds", show_default=True, help="Folder with a folder per round.")
@click.option("--suggestions", type=NEW, default="data/suggestions", show_default=True, help="Folder of ROUND.tsv.")
@stage_command
def main(
    params: Params,
    name: str,
    out: Path,
    round_key: str | None,
    predictions: Path | None,
    images: Path | None,
    chosen: Path | None,
    ignored: str | None,
    url_prefix: str,
    prepared: Path,
    rounds: Path,
    suggestions: Path,
    *,
    suggested: bool,
    copy_images: bool,
) -> None:
    """Write label maps as a folder that an annotation tool takes, with what its project needs beside."""
    from pipeline.annotations.material import choose, of_predictions, of_round, rank
    from pipeline.annotations.request import check_request
    from pipeline.annotations.write import check_place, write_export

    request = check_request(round_key, predictions, images, suggested=suggested, listed=chosen is not None)
    check_place(out)
    if request.round_key is not None:
        params.round(request.round_key)
    folder = rounds / f"{request.round_key}"
    if request.predictions is None:
        material = of_round(folder, key=f"{request.round_key}", prepared=prepared)
    else:
        material = of_predictions(request.predictions, request.images, prepared=prepared)
    if request.round_key is not None:
        table = suggestions / f"{request.round_key}.tsv"
        material, remarks = rank(material, table, folder / "selection.json", only=suggested)
        echo(*remarks)
    if chosen is not None:
        material = choose(material, chosen)
    lines = write_export(
        out,
        material,
        name=name,
        ignored=ignored,
        url_prefix=url_prefix,
        copy_images=copy_images,
        workers=params.runtime.workers,
        progress=progress,
    )
    echo(*lines, f"{name}: {out}")


if __name__ == "__main__":
    main()
