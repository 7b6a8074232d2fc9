"""Command `annotations import`: corrected labels as labeled images of a next experiment."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from pipeline.params import Params
from stages.command import NEW, echo, progress, stage_command


@click.command("import")
@click.option("--from", "files", type=NEW, multiple=True, required=True, help="Export of a tool, a zip or JSON; several times.")
@click.option("--into", type=NEW, required=True, help="Folder of your own images, or a new one, which gets all images.")
@click.option("--list", "name", required=True, help="Name of the list of labeled images, data/lists/NAME.txt.")
@click.option("--replace", is_flag=True, help="Replace label files and lists that say something else.")
@click.option("--prepared", type=NEW, default="data/prepared", show_default=True, help="Folder that `prepare` wrote.")
@click.option("--lists", "folder", type=NEW, default="data/lists", show_default=True, help="Folder of your own lists.")
@stage_command
def main(params: Params, files: tuple[Path, ...], into: Path, name: str, prepared: Path, folder: Path, *, replace: bool) -> None:
    """Write corrected labels as label files, and lists by which a next experiment learns from them."""
    from pipeline.annotations.next_lists import plan_lists, write_lists
    from pipeline.annotations.place import place_labels, read_experiment, without_val
    from pipeline.annotations.read import read_corrected

    lists = read_experiment(prepared, params.data)
    workers = params.runtime.workers
    with TemporaryDirectory() as scratch:
        read = read_corrected(files, lists.all, lists.catalog, Path(scratch), workers=workers, progress=progress)
        echo(*read.remarks)
        if read.faults:
            click.echo("\n".join([f"wrong: {len(read.faults)}", *read.faults]), err=True)
            raise click.exceptions.Exit(1)
        corrected, remarks = without_val(lists, read.labels)
        echo(*remarks)
        planned = plan_lists(folder, name, lists, corrected, params.data, replace=replace)
        echo(place_labels(into, lists, corrected, replace=replace, workers=workers, progress=progress))
    echo(*write_lists(folder, name, planned, before=lists.labeled, into=into))


if __name__ == "__main__":
    main()
