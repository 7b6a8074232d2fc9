"""What every command has in common: parameters, one-line errors, several processes, progress, shared options."""

import functools
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

import click
from tqdm import tqdm

from pipeline.machine.launch import LOST_ANOTHER, launch
from pipeline.machine.lifetime import interruptible
from pipeline.machine.process_group import ProcessLostError, count_processes, is_launched, local_rank, lost_processes, rank
from pipeline.machine.shortage import describe_os_error, describe_shortage
from pipeline.params import Params, find_params, read_params

# zarr reads in an event loop, whose troubles reach who waits for it as errors; the loop would log them with their tracebacks.
logging.getLogger("asyncio").addHandler(logging.NullHandler())

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")


class _ExistingPath(click.Path):
    """A path of the command line whose absence is no fault of its usage: one line as for any other file, not three."""

    def fail(self, message: str, param: click.Parameter | None = None, ctx: click.Context | None = None) -> NoReturn:
        del ctx
        where = param.opts[0] if param else "path"
        found = message.rstrip(".")
        raise click.ClickException(
            f"{where} - expected a file or folder to read - {found} - run the stage that writes it, or correct the path"
        )


EXISTING = _ExistingPath(exists=True, path_type=Path)
NEW = click.Path(path_type=Path)

fresh_option = click.option("--fresh", is_flag=True, help="Drop the partial work of an interrupted run and start over.")
round_option = click.option("--round", "round_key", required=True, help="Key of the round in params.yaml.")


def stage_command(run: Callable[Concatenate[Params, Arguments], None]) -> Callable[Arguments, None]:
    """Give a stage the parameters of the folder that DVC runs it in, and turn errors into one line."""

    @one_line_errors
    @functools.wraps(run)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        run(read_params(Path("params.yaml")), *args, **kwargs)

    return wrapper


def anywhere_command(run: Callable[Concatenate[Params | None, Arguments], None]) -> Callable[Arguments, None]:
    """Give a command that needs no workspace the parameters of the folder, or None where it has none; errors as one line."""

    @one_line_errors
    @functools.wraps(run)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        run(find_params(Path()), *args, **kwargs)

    return wrapper


def parallel_stage_command(run: Callable[Concatenate[Params, Arguments], None]) -> Callable[Arguments, None]:
    """Do what `stage_command` does, in as many processes as `runtime.processes` says."""

    @stage_command
    @functools.wraps(run)
    def wrapper(params: Params, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if params.runtime.processes == 1 or is_launched():
            run(params, *args, **kwargs)
            return
        module = sys.modules["__main__"].__spec__.name  # type: ignore[union-attr]  # stages are run by `python -m`
        if not launch(params.runtime.processes, module, sys.argv[1:]):
            raise click.exceptions.Exit(1)

    return wrapper


def one_line_errors(run: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Turn what a user can cause into one line on stderr and exit code 1; a fault of ours keeps its traceback.

    One of several processes says its line and is gone at once: torch's engines would wait for the others, which wait for it.
    """

    @functools.wraps(run)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            with _translated(), lost_processes():
                run(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit) as error:
            if count_processes() == 1:
                raise
            if isinstance(error, click.ClickException):
                error.show()
            sys.stderr.flush()
            os._exit(error.exit_code)

    return wrapper


@contextmanager
def _translated() -> Iterator[None]:
    try:
        with interruptible():
            yield
    except KeyboardInterrupt as error:
        click.echo("Aborted!", err=True)
        raise click.exceptions.Exit(128 + (error.args[0] if error.args else signal.SIGINT)) from error
    except ProcessLostError as error:
        if local_rank() == 0:
            _write("another process has ended before its time: see what it said, or whether it can be reached")
        raise click.exceptions.Exit(LOST_ANOTHER) from error
    except ValueError as error:
        raise click.ClickException(" ".join(str(error).split())) from error
    except BrokenPipeError:  # whoever read the output has seen enough; click ends without a word
        raise
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        text = describe_shortage(error) or (describe_os_error(error) if isinstance(error, OSError) else None)
        if text is None:  # a fault of ours
            raise
        raise click.ClickException(text) from error


def progress(items: Iterable[Item], /, *, total: int, unit: str) -> Iterable[Item]:
    """Show a `Progress` bar with rate and time left, of no items nothing; when the output is a file, a line now and then."""
    return _bar(items, total=total, unit=unit) if total else items


def run_to_end(items: Iterator[Item], *, total: int, unit: str, done: int = 0, note: Callable[[Item], str] | None = None) -> None:
    """Run a work to its end under a bar.

    Args:
        items: the work, item by item.
        total: items in all, those done earlier included.
        unit: what an item is, in the singular.
        done: items done by an interrupted run.
        note: of an item, a text to show behind the bar; an empty one leaves the last.
    """
    bar = _bar(items, total=total, unit=unit, initial=done)
    for item in bar:
        if note and (text := note(item)):
            bar.set_postfix_str(text, refresh=False)


def echo(*lines: str) -> None:
    """Write lines for the person who watches."""
    if rank() == 0:
        for line in lines:
            _write(line)


def _write(text: str) -> None:
    click.echo(f"{_name()}: {text}", err=True)


def _name() -> str:
    """Return the name of the stage as DVC has it, of a command of `dars` its own, of one by hand that of its module."""
    context, module = click.get_current_context(silent=True), Path(sys.argv[0])
    called = context.command_path.partition(" ")[2] if context and context.find_root().info_name == "dars" else ""
    return os.environ.get("DVC_STAGE") or called or (module.parent.name if module.stem == "__main__" else module.stem)


def _bar(items: Iterable[Item], *, total: int, unit: str, initial: int = 0) -> "_Bar":
    terminal = sys.stderr.isatty()
    left, middle, right = "{desc}: {n_fmt} of {total_fmt} {units} ", "{bar} ", "[{elapsed} < {remaining}, {rate_text}]{postfix}"
    return _Bar(
        items,
        total=total,
        unit=unit,
        disable=rank() != 0,
        initial=initial,
        desc=_name(),
        file=sys.stderr if terminal else _Lines(),
        mininterval=0.1 if terminal else 15.0,
        # A monitor thread would repeat the last count after this long without a new one.
        maxinterval=math.inf,
        dynamic_ncols=terminal,
        bar_format=left + middle * terminal + right,
    )


class _Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """A bar that spells its unit and rate: "3.6 steps/s", "5.2 s/shard"."""

    monitor_interval = 0

    @property
    def format_dict(self) -> dict[str, Any]:
        """Fields that `bar_format` may name."""
        fields: dict[str, Any] = super().format_dict
        rate, unit = fields["rate"] or (fields["n"] - fields["initial"]) / max(fields["elapsed"], 1e-9), fields["unit"]
        text = f"{rate:.3g} {unit}s/s" if rate >= 1 or not rate else f"{1 / rate:.3g} s/{unit}"
        return {**fields, "units": f"{unit}s", "rate_text": text}


class _Lines:
    """A stream that makes a line of everything tqdm would overwrite, where the count has changed."""

    def __init__(self) -> None:
        self._count = ""

    def write(self, text: str) -> Any:  # noqa: ANN401 - tqdm's protocol
        line = text.strip("\r\n ")
        count = line.partition(" [")[0]
        if count and count != self._count:
            self._count = count
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()
