"""Command `inspect`: what lies in a folder of one's own, and all that is wrong with it, before any run."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from pipeline.params import Params
from stages.command import NEW, anywhere_command, progress


@click.command()
@click.option("--root", type=NEW, required=True, help="Folder or zip with your images and what an annotation tool exported.")
@click.option("--write", is_flag=True, help="Write the proposed classes.yaml into the folder, where there is none.")
@anywhere_command
def main(own: Params | None, root: Path, *, write: bool) -> None:
    """Say what is in a folder, how it would be split, what it would cost, and all that would stop `prepare`."""
    from pipeline.inspection.inspect import inspect_folder
    from pipeline.params import default_params

    with TemporaryDirectory() as scratch:
        found = inspect_folder(root, own or default_params(), Path(scratch), write=write, progress=progress)
    click.echo("\n".join([*found.lines, f"wrong: {len(found.faults) or 'nothing'}", *found.faults]))
    if found.faults:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
