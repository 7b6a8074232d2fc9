"""Command `repair`: put right what a kill of DVC, a power cut or a bad disk has torn, where DVC itself cannot."""

import os
from pathlib import Path

import click

from stages.command import echo, one_line_errors, progress


@click.command()
@one_line_errors
def main() -> None:
    """Repair DVC's own files and hash its whole cache; what is damaged is removed, and dvc repro makes it anew."""
    from pipeline.workspace.repair import repair_workspace

    echo(*repair_workspace(Path(), workers=os.cpu_count() or 1, progress=progress))


if __name__ == "__main__":
    main()
