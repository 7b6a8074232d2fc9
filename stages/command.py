"""What every stage has in common: one-line errors, progress that is readable in a terminal and in a file, shared options."""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from tqdm import tqdm

from pipeline.params import Params, read_params

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")

EXISTING = click.Path(exists=True, path_type=Path)
NEW = click.Path(path_type=Path)

_IS_ONE_OF_SEVERAL = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys() and os.environ["WORLD_SIZE"] != "1"
"""Whether `torchrun`, or a stage itself, started several processes of which this is one."""

IS_FIRST = not _IS_ONE_OF_SEVERAL or os.environ["RANK"] == "0"
"""Whether this process speaks for those that run a stage together."""

CODE_OF_LOSS = 3
"""Exit code of one of several processes that ends because another has gone."""

_LOSS_OF_ANOTHER = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process")
"""How torch's engines say that another process of the stage has gone."""

fresh_option = click.option("--fresh", is_flag=True, help="Drop the partial work of an interrupted run and start over.")
round_option = click.option("--round", "round_key", required=True, help="Key of the round in params.yaml.")


def load_params() -> Params:
    """Read `params.yaml` of the folder that DVC runs the stage in."""
    return read_params(Path("params.yaml"))


def one_line_errors(run: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Turn what a user can cause into one line on stderr and exit code 1; a fault of ours keeps its traceback.

    One of several processes says its line and is gone at once: torch's engines would wait for the others, which wait for it.
    """

    @functools.wraps(run)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            translated(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit) as error:
            if not _IS_ONE_OF_SEVERAL:
                raise
            if isinstance(error, click.ClickException):
                error.show()
            sys.stderr.flush()
            os._exit(error.exit_code)

    def translated(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            run(*args, **kwargs)
        except ValueError as error:
            raise click.ClickException(" ".join(str(error).split())) from error
        except (MemoryError, RuntimeError) as error:
            # torch says "out of memory" and "DataLoader worker ... is killed" in RuntimeErrors; any other is a fault of ours.
            text = " ".join(str(error).split())
            if _IS_ONE_OF_SEVERAL and any(mark in text for mark in _LOSS_OF_ANOTHER):
                if os.environ["LOCAL_RANK"] == "0":
                    _write("another process has ended before its time: see what it said, or whether it can be reached")
                raise click.exceptions.Exit(CODE_OF_LOSS) from error
            if isinstance(error, RuntimeError) and "out of memory" not in text and "DataLoader worker" not in text:
                raise
            raise click.ClickException(
                f"memory - {text[:200]} - lower the batch size, the window or runtime.loader_workers"
            ) from error
        except BrokenPipeError:  # whoever read the output has seen enough; click ends without a word
            raise
        except OSError as error:
            where = error.filename or "file system"
            raise click.ClickException(
                f"{where} - {error.strerror or error} - free space or correct access, then run again"
            ) from error

    return wrapper


def progress(steps: Iterable[Item], *, total: int, unit: str, initial: int = 0) -> Iterable[Item]:
    """Show a bar with rate and time left; when the output is a file, a line now and then instead.

    Args:
        steps: the work, item by item.
        total: items in all, those done earlier included.
        unit: what an item is.
        initial: items done by an interrupted run.
    """
    terminal = sys.stderr.isatty()
    bar: Iterable[Item] = tqdm(
        steps,
        total=total,
        unit=f" {unit}",
        disable=not IS_FIRST,
        initial=initial,
        desc=os.environ.get("DVC_STAGE", "stage"),
        file=sys.stderr if terminal else _Lines(),
        mininterval=0.1 if terminal else 15.0,
        dynamic_ncols=terminal,
        bar_format=None if terminal else "{desc}: {n_fmt} of {total_fmt} [{elapsed} < {remaining}, {rate_fmt}]",
    )
    return bar


def run_to_end(done: Iterator[int], *, total: int, unit: str) -> None:
    """Run a work that can resume, under a progress bar.

    Args:
        done: yields the number of items done, first those of an interrupted run.
        total: items in all.
        unit: what an item is.
    """
    first = next(done)
    for _ in progress(done, total=total, unit=unit, initial=first):
        pass


def say(text: str) -> None:
    """Write a line for the person who watches."""
    if IS_FIRST:
        _write(text)


def _write(text: str) -> None:
    click.echo(f"{os.environ.get('DVC_STAGE', 'stage')}: {text}", err=True)


class _Lines:
    """A stream that makes a line of everything tqdm would overwrite."""

    def write(self, text: str) -> Any:  # noqa: ANN401 - tqdm's protocol
        if line := text.strip("\r\n "):
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()
