"""Stage `prepare`: find or draw the data set, check every file, split it, count the labeled classes."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, echo, progress, stage_command


@click.command()
@click.option("--lists", type=EXISTING, required=True, help="Folder of the user's own lists of image ids.")
@click.option("--out", type=NEW, required=True, help="Folder for catalog, lists, priors and drawn images.")
@stage_command
def main(params: Params, lists: Path, out: Path) -> None:
    """Turn a raw data set into checked sample lists."""
    from pipeline.datasets.prepare import prepare_data_set
    from pipeline.files import atomic_path

    echo(f"finding or drawing the images of {params.data.name}")
    with atomic_path(out) as folder:
        folder.mkdir()
        remarks = prepare_data_set(
            params.data, folder, out=out, lists=lists, seed=params.seed, workers=params.runtime.workers, progress=progress
        )
    echo(*remarks)


if __name__ == "__main__":
    main()
