"""What is asked for: labels of a round or predictions, all images or some."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """Whose labels.

    Attributes:
        round_key: of the round whose pseudo labels or suggestions count; None = of none.
        predictions: folder of predictions; None = pseudo labels.
        images: folder that was predicted; without `predictions` of no meaning.
    """

    round_key: str | None
    predictions: Path | None
    images: Path


def check_request(
    round_key: str | None, predictions: Path | None, images: Path | None, *, suggested: bool, listed: bool
) -> Request:
    """Check options against each other, before anything is read.

    Args:
        round_key: `--round`.
        predictions: `--predictions`.
        images: `--images`.
        suggested: `--suggested`.
        listed: whether there is a `--list`.

    Raises:
        ValueError: they do not say whose labels, or contradict each other.
    """
    if round_key is None and predictions is None:
        raise ValueError("export - expected --round or --predictions - found neither - say whose labels")
    if (predictions is None) != (images is None):
        found, missing = ("--images", "--predictions") if predictions is None else ("--predictions", "--images")
        raise ValueError(f"{found} - expected {missing} beside it - found none - name the folder")
    if suggested and round_key is None:
        raise ValueError("--suggested - expected the round that images were suggested for - found no --round - name it")
    if suggested and listed:
        raise ValueError("--suggested - expected one choice of images - found --list as well - leave one out")
    return Request(round_key, predictions, images or Path())
