"""What all figures of an evaluation share: width, type, colours, and how they are written.

Colours are those of Okabe and Ito. No figure needs colour alone: curves differ in their dashes, points in their shapes.

References
----------
Okabe, Ito 2008, Color Universal Design, https://jfly.uni-koeln.de/color/ (palette).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Chart = Figure
"""A figure, for those who must not know what draws it."""

COLUMN_WIDTH_MM = 85.0
"""Width of one column of a two-column journal."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
SERIES_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX"
GREY = "#666666"
_INCH_MM = 25.4
_DPI = 300
_LONGEST_OF_TWO = 26
LegendPlace = Literal["best", "lower right"]
STYLE: Any = {
    "font.size": 8,
    "font.family": "DejaVu Sans",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "svg.fonttype": "path",
    "svg.hashsalt": "osteomet",
}


@mpl.rc_context(STYLE)
def save_chart(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a figure as ``NAME.png`` (300 dpi) and ``NAME.svg``; the same figure gives the same bytes."""
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    figure.savefig(png, dpi=_DPI, metadata={"Software": None})
    figure.savefig(svg, metadata={"Date": None})
    return png, svg


def new_figure(height_mm: float = 62.0) -> tuple[Figure, Axes]:
    """One pair of axes, one column wide."""
    figure = Figure(figsize=size_inches(height_mm), layout="constrained")
    return figure, figure.subplots()


def place_legend(figure: Figure, axes: Axes, *, n_inside: int, inside: LegendPlace = "best") -> None:
    """Put the legend into the axes if it has at most so many entries, else below them, in two columns if they fit."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) <= n_inside:
        axes.legend(loc=inside)
        return
    n_columns = 2 if max(map(len, labels)) <= _LONGEST_OF_TWO else 1
    height_mm = float(figure.get_size_inches()[1]) * _INCH_MM + 3.6 * -(-len(handles) // n_columns)
    figure.set_size_inches(*size_inches(height_mm))
    figure.legend(
        handles=handles,
        labels=labels,
        loc="outside lower center",
        ncols=n_columns,
        fontsize=6,
        handlelength=2.6,
        columnspacing=0.8,
        labelspacing=0.3,
    )


def size_inches(height_mm: float) -> tuple[float, float]:
    """One column wide and so high."""
    return COLUMN_WIDTH_MM / _INCH_MM, height_mm / _INCH_MM


def row_of_axes(figure: Figure, n: int) -> list[Axes]:
    """Axes side by side; none of them where there is nothing to draw."""
    return list(figure.subplots(1, n, squeeze=False)[0]) if n else []


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes."""
    axes.set(xlabel=x, ylabel=y)
