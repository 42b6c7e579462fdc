"""Figures of an evaluation for a paper: one column (85 mm) wide, colour-blind safe, as bitmap and as vectors.

Every function takes results that are computed already and returns a figure; `save_chart` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from osteomet.report.chart_style import (
    BLACK,
    BLUE,
    COLUMN_WIDTH_MM,
    DASHES,
    GREY,
    MARKERS,
    SERIES_COLOURS,
    SKY,
    STYLE,
    VERMILION,
    label_axes,
    new_figure,
    place_legend,
    row_of_axes,
    size_inches,
)
from osteomet.stats.agreement import BlandAltman
from osteomet.stats.calibration import Calibration
from osteomet.stats.intervals import Estimate

_LEAST_FOR_DENSITY = 5
_LABEL_GAP = 0.065
"""Least distance of two lines of text beside the axes of a Bland–Altman plot, as a share of their height."""


@mpl.rc_context(STYLE)
def violin_chart(panels: Mapping[str, ArrayLike]) -> Figure:
    """Draw the distribution over cases of each metric, with every case as a dot and the median as a bar.

    The outline of a density is drawn from `_LEAST_FOR_DENSITY` cases on: of fewer it would be invented.

    Parameters
    ----------
    panels
        Values of each metric by the label of its axis; a metric without values is left out.
    """
    values = {name: np.asarray(v, dtype=np.float64) for name, v in panels.items()}
    values = {name: v[~np.isnan(v)] for name, v in values.items() if (~np.isnan(v)).any()}
    figure = Figure(figsize=size_inches(65.0), layout="constrained")
    for n, (axes, (name, v)) in enumerate(zip(row_of_axes(figure, len(values)), values.items(), strict=True)):
        colour = SERIES_COLOURS[n % len(SERIES_COLOURS)]
        if v.size >= _LEAST_FOR_DENSITY and np.ptp(v) > 0:
            for body in _bodies(axes, v):
                body.set(facecolor=colour, alpha=0.3, edgecolor=colour)
        spread = np.linspace(-0.12, 0.12, v.size) if v.size > 1 else np.zeros(1)
        axes.plot(1 + spread, v, "o", ms=2.2, color=colour, alpha=0.8, mew=0)
        axes.hlines(np.median(v), 0.8, 1.2, color=BLACK, lw=1.2)
        axes.set(xlim=(0.5, 1.5), xticks=[], ylabel=name, xlabel=f"n = {v.size}")
        axes.set_ylim(bottom=0)
    return figure


@mpl.rc_context(STYLE)
def bland_altman_chart(reference: ArrayLike, prediction: ArrayLike, agreement: BlandAltman, *, unit: str) -> Figure:
    """Draw differences (prediction minus reference) against means, with bias, limits of agreement and intervals."""
    figure, axes = new_figure()
    first, second = (np.asarray(x, dtype=np.float64) for x in (reference, prediction))
    lines = [
        (estimate.value, estimate, name, dash)
        for estimate, name, dash in (
            (agreement.lower, "lower limit", "--"),
            (agreement.bias, "bias", "-"),
            (agreement.upper, "upper limit", "--"),
        )
        if estimate.value is not None
    ]
    for value, estimate, _, dash in lines:
        if estimate.low is not None and estimate.high is not None:
            axes.axhspan(estimate.low, estimate.high, color=SKY, alpha=0.2, lw=0)
        axes.axhline(value, color=VERMILION, ls=dash, lw=1)
    axes.plot((first + second) / 2, second - first, "o", color=BLUE, ms=3, mew=0)
    low, high = axes.get_ylim()
    places = _apart([(value - low) / (high - low) for value, *_ in lines], _LABEL_GAP)
    for (value, _, name, _), place in zip(lines, places, strict=True):
        text = f"{name} {value:.2f}".replace("-", "−")
        axes.text(1.02, place, text, transform=axes.transAxes, va="center", fontsize=7)
    label_axes(axes, f"Mean of reference and prediction ({unit})", f"Prediction − reference ({unit})")
    return figure


@mpl.rc_context(STYLE)
def confusion_chart(matrix: NDArray[np.int64], rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draw a confusion matrix, each row shaded by the share of its cases, with counts and shares written out."""
    figure = Figure(figsize=size_inches(72.0), layout="constrained")
    axes = figure.subplots()
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(*matrix.shape):
        colour = "white" if share[i, j] > 0.55 else BLACK
        axes.text(j, i, f"{matrix[i, j]}\n{share[i, j]:.0%}", ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    label_axes(axes, "Predicted", "Reference")
    return figure


@mpl.rc_context(STYLE)
def sensitivity_chart(bins: Mapping[str, Estimate]) -> Figure:
    """Draw the sensitivity of each bin of lesion volume with its interval, and the lesions found of all beside it."""
    figure, axes = new_figure()
    names = list(bins)
    for n, estimate in enumerate(bins.values()):
        if estimate.value is None:
            axes.text(n, 0.03, "no lesion", ha="center", fontsize=7, color=GREY)
            continue
        axes.bar(n, estimate.value, width=0.6, color=SKY, edgecolor=BLUE, lw=0.6)
        if estimate.low is not None and estimate.high is not None:
            axes.vlines(n, estimate.low, estimate.high, color=BLACK, lw=1)
        top = max(estimate.value, estimate.high or 0.0)
        axes.text(n, top + 0.02, f"{estimate.numerator:.0f}/{estimate.denominator:.0f}", ha="center", fontsize=7)
    axes.set_xticks(range(len(names)), names)
    axes.set(ylim=(0, 1.12), yticks=np.linspace(0, 1, 6))
    label_axes(axes, "Lesion volume (ml)", "Lesion sensitivity")
    return figure


@mpl.rc_context(STYLE)
def calibration_chart(curves: Mapping[str, Calibration]) -> Figure:
    """Draw the observed share of positives against the mean probability of each bin, with Wilson intervals."""
    figure, axes = new_figure(height_mm=COLUMN_WIDTH_MM * 0.92)
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.6, ls=":")
    for n, (name, curve) in enumerate(curves.items()):
        colour = SERIES_COLOURS[n % len(SERIES_COLOURS)]
        kept = [
            (p, e.value, e.low, e.high)
            for p, e in zip(curve.mean_probability, curve.observed, strict=True)
            if e.value is not None and e.low is not None and e.high is not None
        ]
        x, y, low, high = (np.array(column) for column in zip(*kept, strict=True)) if kept else (np.zeros(0),) * 4
        axes.vlines(x, low, high, color=colour, lw=0.8)
        ece = "" if curve.ece is None else f": ECE {curve.ece:.3f}"
        axes.plot(x, y, marker=MARKERS[n % len(MARKERS)], color=colour, ls=DASHES[n % 4], label=name + ece)
    label_axes(axes, "Predicted probability", "Observed share")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    place_legend(figure, axes, n_inside=1)
    return figure


def _bodies(axes: Axes, values: NDArray[np.float64]) -> list[Any]:
    """Shapes of a violin."""
    shapes: Any = axes.violinplot(values, showextrema=False)["bodies"]
    return list(shapes)


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending places apart until none is nearer to the next than a gap, the middle one least of all."""
    middle = len(places) // 2
    moved = list(places)
    for n in range(middle + 1, len(moved)):
        moved[n] = max(moved[n], moved[n - 1] + gap)
    for n in reversed(range(middle)):
        moved[n] = min(moved[n], moved[n + 1] - gap)
    return moved
