"""The command line `dars`: each command that is no stage of DVC's, imported when it is called and not before."""

import importlib
from pathlib import Path

import click

import stages
from pipeline.machine.lifetime import begin_process

ANYWHERE = {
    "predict": "Label maps of a folder of images, by a trained model.",
    "export": "A trained model as an ONNX file, which runs without torch.",
    "inspect": "What lies in a folder of your own, and all that is wrong.",
}
"""What works in any folder."""
IN_A_WORKSPACE = {
    "suggest": "Which unlabeled images to label next.",
    "annotations": "Labels to annotation tools, and corrected ones back.",
    "experiment": "Run a setting of data/settings as experiments of DVC.",
    "table": "The finished experiments of a setting as a table.",
    "clean": "Remove what interrupted runs left.",
    "repair": "Put right what a kill of DVC or a power cut has torn.",
}
"""What reads or writes the artifacts of an experiment."""


class _Commands(click.Group):
    """Commands by name, of which only the called one is imported: torch and DVC take seconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        del ctx
        return [*ANYWHERE, *IN_A_WORKSPACE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.list_commands(ctx):
            _refuse_stage(cmd_name)
            return None
        found: click.Command = importlib.import_module(f"{stages.__name__}.{cmd_name}").main
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command and, before its paths are looked for, the workspace that it needs."""
        if args[0] in IN_A_WORKSPACE and not ctx.resilient_parsing and "--help" not in args:
            _check_workspace(args[0])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, a line each, by where they work."""
        del ctx
        for heading, commands in (("In any folder", ANYWHERE), ("In a workspace", IN_A_WORKSPACE)):
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()))


@click.command(cls=_Commands, context_settings={"max_content_width": 100})
def main() -> None:
    """Semi-supervised semantic segmentation by self-training with unbiased pseudo labels.

    A workspace is a clone of the project, where `dvc repro` runs the stages of an experiment.
    """


def run() -> None:
    """Be the program `dars`."""
    begin_process()
    main(prog_name="dars")


def _check_workspace(command: str) -> None:
    path = Path("dvc.yaml")
    if not path.is_file():
        found = "no dvc.yaml"
    elif "python -m stages." not in path.read_text(encoding="utf-8", errors="replace"):
        found = "the dvc.yaml of another project"
    else:
        return
    raise click.ClickException(
        f"{command} - expected a workspace, a clone of the project, as the current folder - found {found} - change to one"
    )


def _refuse_stage(name: str) -> None:
    file = Path(stages.__path__[0], f"{name}.py")
    if file.is_file() and file.read_text(encoding="utf-8").startswith('"""Stage '):
        raise click.ClickException(
            f"{name} - expected a command, see dars --help - found a stage, which DVC runs in a workspace"
            f" - run dvc repro {name} there, or python -m stages.{name}"
        )


if __name__ == "__main__":
    run()
