"""Figures of a radiomic signature: coefficients, the path of the LASSO, and the deviance that chose the penalty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from osteomet.report.chart_style import (
    BLACK,
    BLUE,
    DASHES,
    GREY,
    SERIES_COLOURS,
    STYLE,
    VERMILION,
    label_axes,
    new_figure,
    place_legend,
    size_inches,
)

_NAME_SIZE = 6.0
_ROW_MM = 6.5


@mpl.rc_context(STYLE)
def coefficient_chart(coefficients: Mapping[str, float]) -> Figure:
    """Draw the coefficient of each feature as a bar, largest first; each name stands above its bar.

    Parameters
    ----------
    coefficients
        By feature; those that are 0 are drawn as a point, so that the choice of mRMR can be seen.
    """
    ordered = sorted(coefficients.items(), key=lambda item: -abs(item[1]))
    figure = Figure(figsize=size_inches(16.0 + _ROW_MM * max(len(ordered), 2)), layout="constrained")
    axes = figure.subplots()
    for row, (name, value) in enumerate(ordered):
        colour = BLUE if value > 0 else VERMILION
        if value == 0:
            axes.plot(0, row, "o", ms=2.5, color=GREY)
        else:
            axes.barh(row, value, height=0.42, color=colour)
        axes.annotate(
            name, (0, row), xycoords=("axes fraction", "data"), xytext=(1, 7.5), textcoords="offset points",
            fontsize=_NAME_SIZE, va="center",
        )  # fmt: skip
    rows = np.arange(len(ordered))  # no line through the names
    axes.vlines(np.zeros(rows.size), rows - 0.3, rows + 0.3, color=BLACK, lw=0.6)
    widest = max([0.1, *(abs(value) for _, value in ordered)])
    axes.set(ylim=(max(len(ordered), 1) - 0.4, -0.9), yticks=[], xlim=(-1.1 * widest, 1.1 * widest))
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Coefficient of the standardised feature")
    return figure


@mpl.rc_context(STYLE)
def lasso_chart(
    penalties: NDArray[np.float64], coefficients: NDArray[np.float64], names: Sequence[str], *, chosen: int
) -> Figure:
    """Draw the coefficients along the path of penalties; the dotted line is the penalty that was chosen.

    Parameters
    ----------
    penalties
        Penalties, shape (k,).
    coefficients
        Shape (k, n_features).
    names
        Of the features.
    chosen
        Row of the chosen penalty.
    """
    figure, axes = new_figure(70.0)
    for n, name in enumerate(names):
        style = DASHES[n // len(SERIES_COLOURS) % len(DASHES)]
        axes.plot(penalties, coefficients[:, n], color=SERIES_COLOURS[n % len(SERIES_COLOURS)], ls=style, label=name)
    _mark(axes, penalties, chosen)
    label_axes(axes, "Penalty λ", "Coefficient")
    if names:
        place_legend(figure, axes, n_inside=0)
    return figure


@mpl.rc_context(STYLE)
def deviance_chart(
    penalties: NDArray[np.float64], deviance: NDArray[np.float64], error: NDArray[np.float64], *, chosen: int
) -> Figure:
    """Draw the mean deviance of left-out lesions at each penalty with its standard error."""
    figure, axes = new_figure()
    axes.vlines(penalties, deviance - error, deviance + error, color=GREY, lw=0.6)
    axes.plot(penalties, deviance, "o", ms=2.2, color=BLUE, mew=0)
    _mark(axes, penalties, chosen)
    label_axes(axes, "Penalty λ", "Mean deviance, lesions left out")
    return figure


def _mark(axes: Axes, penalties: NDArray[np.float64], chosen: int) -> None:
    """Logarithmic axis from the largest penalty on the left, and a line at the chosen one."""
    axes.axvline(float(penalties[chosen]), color=BLACK, lw=0.8, ls=":")
    axes.axhline(0, color=GREY, lw=0.4) if axes.get_ylim()[0] < 0 < axes.get_ylim()[1] else None
    axes.set_xscale("log")
    axes.invert_xaxis()
