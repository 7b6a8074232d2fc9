"""Command `annotations`: labels out to annotation tools, and back as labeled images of a next experiment."""

import click

from stages.annotations import export, import_back

main = click.Group(
    "annotations",
    commands={"export": export.main, "import": import_back.main},
    help="Labels out to annotation tools, and back as labeled images of a next experiment.",
)
