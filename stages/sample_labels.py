"""Stage `sample_labels`: the pseudo labels of every unlabeled image as PNGs (Algorithm 1)."""

from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, parallel_stage_command, progress, round_option


@click.command()
@round_option
@click.option("--catalog", type=EXISTING, required=True, help="Classes of the data set, for the colors.")
@click.option("--confidences", type=EXISTING, required=True, help="Confidences of this round.")
@click.option("--selection", type=EXISTING, required=True, help="Selection of this round.")
@click.option("--pseudo-labels", type=NEW, required=True, help="Folder of PNGs to write.")
@parallel_stage_command
def main(params: Params, round_key: str, catalog: Path, confidences: Path, selection: Path, pseudo_labels: Path) -> None:
    """Draw and write one round's pseudo labels."""
    from pipeline.labeling.draw_round import draw_round
    from pipeline.machine.process_group import join_processes
    from pipeline.samples.catalog import Catalog
    from pipeline.selection import Selection
    from pipeline.softmax_store.reader import ConfidenceStore

    store, chosen, colors = ConfidenceStore(confidences), Selection.read(selection), Catalog.read(catalog).colors
    with join_processes() as group:
        draw_round(
            store,
            chosen,
            pseudo_labels,
            colors=colors,
            seed=params.seed,
            round_key=round_key,
            group=group,
            workers=params.runtime.workers,
            progress=progress,
        )


if __name__ == "__main__":
    main()
