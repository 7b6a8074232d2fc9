"""Numbers as the page spells them: shares in percent, a dash where there is none, a minus sign that is one."""

import math

from pipeline.divergence import Divergence

NONE = "\N{EN DASH}"
"""Stands where a number is not defined."""
MINUS = "\N{MINUS SIGN}"


def percent(value: float | None, digits: int = 2) -> str:
    """Spell a share in percent, without the sign (the heading has it)."""
    return NONE if value is None else f"{100 * value:.{digits}f}"


def points(value: float | None, digits: int = 2) -> str:
    """Spell a difference of two shares in percentage points, always signed unless it rounds to 0."""
    if value is None:
        return NONE
    text = f"{100 * value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def tone(gain: str) -> str:
    """Say how a difference that `points` spelled looks: `up`, `down`, or "" for neither."""
    return {"+": "up", MINUS: "down"}.get(gain[0], "")


def count(value: int) -> str:
    """Spell a number of pixels or images."""
    return f"{value:,}"


def nats(divergence: Divergence) -> str:
    """Spell a divergence; an infinite one with its smoothed stand-in."""
    if divergence.value is None:
        return NONE
    if math.isinf(divergence.value):
        return f"∞ (smoothed {divergence.smoothed:.4f})"
    return f"{divergence.value:.4f}"
