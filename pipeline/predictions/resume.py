"""A folder of predictions that a run left unfinished: what is there already is not predicted again."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.files import digest, write_text
from pipeline.predictions.jobs import Job

MARK = "unfinished.txt"


def begin(out: Path, jobs: Sequence[Job], *, model: Path, protocol: str) -> list[Job]:
    """Mark the folder as unfinished and return the jobs left.

    All are left, unless the last run was not finished and was the same: of the same model, protocol and kinds of files. Where an
    image is newer than its files, it is predicted again.

    Args:
        out: folder of the results.
        jobs: all of them.
        model: file of the network.
        protocol: by which it predicts, in words.
    """
    kinds = sorted({path.relative_to(out).parts[0] for job in jobs for path in job.files})
    run = hashlib.sha256("\n".join([digest(model), protocol, *kinds]).encode()).hexdigest()
    goes_on = False
    with suppress(FileNotFoundError, UnicodeDecodeError):
        goes_on = (out / MARK).read_text(encoding="utf-8").splitlines()[-1:] == [run]
    write_text(out / MARK, f"Predictions of a run that goes on or was killed; the same command finishes it.\n{run}\n")
    return [job for job in jobs if not (goes_on and job.is_done())]


def finish(out: Path) -> None:
    """Take the mark away: the next run predicts every image again."""
    (out / MARK).unlink()
