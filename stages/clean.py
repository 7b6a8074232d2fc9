"""Command `clean`: remove partial work of interrupted runs, what they left beside outs, workspaces of killed experiments."""

from pathlib import Path

import click

from stages.command import echo, one_line_errors


@click.command()
@one_line_errors
def main() -> None:
    """Remove what interrupted runs left; finished artifacts stay, and so does what a running process works on."""
    from pipeline.machine.scratch import clean_scratch
    from pipeline.workspace.holders import remove_temporary
    from pipeline.workspace.leftovers import remove_partial_outs

    root = Path()
    echo(*clean_scratch(root), *remove_temporary(root), *remove_partial_outs(root))


if __name__ == "__main__":
    main()
