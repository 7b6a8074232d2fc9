"""What all diagrams share: style and colors, and how a figure becomes a picture of the page."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from pipeline.report.pictures import Picture, data_uri

STYLE: list[str | Path | dict[str, Any]] = [
    "default",  # whatever the machine's matplotlibrc says
    {
        "svg.hashsalt": "dars",
        "svg.fonttype": "path",
        "text.parse_math": False,  # class names may hold a dollar sign
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#9aa3ad",
        "axes.labelcolor": "#3d4650",
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.axisbelow": True,
        "xtick.color": "#3d4650",
        "ytick.color": "#3d4650",
        "grid.color": "#e4e7ea",
        "legend.frameon": False,
    },
]
WIDTH = 9.0
"""Inches."""
TAIL_COLOR = "#fbf3e4"
COLORS = {"labeled": "#59636e", "predicted": "#e0a33a", "pseudo-labeled": "#2b6cb0", "true": "#6aa84f"}


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put a legend above all panels."""
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 6))


def round_colors(number: int) -> list[str]:
    """Return a color for each round: gray for round 0, then darker and darker."""
    colors = mpl.colormaps["YlGnBu"](np.linspace(0.45, 0.95, max(number - 1, 1)))
    return ["#9aa3ad", *(mpl.colors.to_hex(color) for color in colors)][:number]


def picture(figure: Figure, alt: str, caption: str) -> Picture:
    """Turn a figure into SVG inside a data URI; the same bytes for the same figure."""
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(data_uri("image/svg+xml", content.getvalue()), alt, caption)
