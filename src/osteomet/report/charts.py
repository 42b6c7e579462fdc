"""Figures of an evaluation for a paper: one column (85 mm) wide, colour-blind safe, as bitmap and as vectors.

Colours are those of Okabe and Ito. No figure needs colour alone: curves differ in their dashes, points in their shapes.
Every function takes results that are computed already and returns a figure; `save_chart` writes it.

References
----------
Okabe, Ito 2008, Color Universal Design, https://jfly.uni-koeln.de/color/ (palette).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from osteomet.stats.agreement import BlandAltman
from osteomet.stats.calibration import Calibration
from osteomet.stats.froc import FrocCurve
from osteomet.stats.intervals import Estimate
from osteomet.stats.roc import RocCurve

Chart = Figure
"""A figure, for those who must not know what draws it."""

COLUMN_WIDTH_MM = 85.0
"""Width of one column of a two-column journal."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
SERIES_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX"
_GREY = "#666666"
_INCH_MM = 25.4
_DPI = 300
_STYLE: Any = {
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


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where a reader, or the model at its threshold, works: false positives per series and sensitivity."""

    name: str
    group: str
    fp_per_series: float
    sensitivity: float


@mpl.rc_context(_STYLE)
def save_chart(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a figure as ``NAME.png`` (300 dpi) and ``NAME.svg``; the same figure gives the same bytes."""
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    figure.savefig(png, dpi=_DPI, metadata={"Software": None})
    figure.savefig(svg, metadata={"Date": None})
    return png, svg


@mpl.rc_context(_STYLE)
def froc_chart(
    curve: FrocCurve,
    *,
    band: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None = None,
    points: Sequence[OperatingPoint] = (),
) -> Figure:
    """Draw a FROC curve with every operating point, as a staircase: no threshold reaches what lies between points.

    Parameters
    ----------
    curve
        Operating points.
    band
        Rates of false positives, and the limits of the sensitivity at each.
    points
        Readers to set beside the curve.
    """
    figure, axes = _figure()
    rates = np.append(curve.fp_per_case, max(1.0, 1.05 * float(curve.fp_per_case.max(initial=0.0))))
    sensitivity = np.append(curve.sensitivity, curve.sensitivity[-1])
    if band is not None:
        axes.fill_between(band[0], band[1], band[2], step="post", color=BLUE, alpha=0.18, lw=0, label="95 % interval")
    axes.step(rates, sensitivity, where="post", color=BLUE, label=f"model ({curve.n_lesions} lesions)")
    axes.plot(curve.fp_per_case, curve.sensitivity, ".", color=BLUE, ms=3)
    _scatter(axes, points, first_colour=1)
    _label(axes, "False positives per series", "Lesion sensitivity")
    axes.set_xlim(0, max([float(rates[-1]), *(1.05 * p.fp_per_series for p in points)]))
    axes.set_ylim(0, 1.06)
    axes.legend(loc="lower right")
    return figure


@mpl.rc_context(_STYLE)
def roc_chart(curves: Mapping[str, tuple[RocCurve, Estimate]]) -> Figure:
    """Draw ROC curves by name, each with its area in the legend; the diagonal is chance."""
    figure, axes = _figure(height_mm=COLUMN_WIDTH_MM * 0.92)
    for n, (name, (curve, area)) in enumerate(curves.items()):
        label = f"{name}: AUC {_with_interval(area)}"
        axes.plot(
            curve.false_positive_rate,
            curve.sensitivity,
            color=SERIES_COLOURS[n % len(SERIES_COLOURS)],
            ls=_DASHES[n % len(_DASHES)],
            label=label,
        )
    axes.plot([0, 1], [0, 1], color=_GREY, lw=0.6, ls=":")
    _label(axes, "1 − specificity", "Sensitivity")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="lower right")
    return figure


@mpl.rc_context(_STYLE)
def violin_chart(panels: Mapping[str, ArrayLike]) -> Figure:
    """Draw the distribution over cases of each metric, with every case as a dot and the median as a bar.

    Parameters
    ----------
    panels
        Values of each metric by the label of its axis; a metric without values is left out.
    """
    values = {name: np.asarray(v, dtype=np.float64) for name, v in panels.items()}
    values = {name: v[~np.isnan(v)] for name, v in values.items() if (~np.isnan(v)).any()}
    figure = Figure(figsize=_inches(65.0), layout="constrained")
    for n, (axes, (name, v)) in enumerate(zip(_row(figure, len(values)), values.items(), strict=True)):
        colour = SERIES_COLOURS[n % len(SERIES_COLOURS)]
        if v.size > 1 and np.ptp(v) > 0:
            for body in _bodies(axes, v):
                body.set(facecolor=colour, alpha=0.3, edgecolor=colour)
        spread = np.linspace(-0.12, 0.12, v.size) if v.size > 1 else np.zeros(1)
        axes.plot(1 + spread, v, "o", ms=2.2, color=colour, alpha=0.8, mew=0)
        axes.hlines(np.median(v), 0.8, 1.2, color=BLACK, lw=1.2)
        axes.set(xlim=(0.5, 1.5), xticks=[], ylabel=name, xlabel=f"n = {v.size}")
        axes.set_ylim(bottom=0)
    return figure


@mpl.rc_context(_STYLE)
def bland_altman_chart(reference: ArrayLike, prediction: ArrayLike, agreement: BlandAltman, *, unit: str) -> Figure:
    """Draw differences (prediction minus reference) against means, with bias, limits of agreement and intervals."""
    figure, axes = _figure()
    first, second = (np.asarray(x, dtype=np.float64) for x in (reference, prediction))
    lines = (
        (agreement.bias, "bias", "-"),
        (agreement.lower, "lower limit", "--"),
        (agreement.upper, "upper limit", "--"),
    )
    for estimate, name, dash in lines:
        if estimate.value is None:
            continue
        if estimate.low is not None and estimate.high is not None:
            axes.axhspan(estimate.low, estimate.high, color=SKY, alpha=0.2, lw=0)
        axes.axhline(estimate.value, color=VERMILION, ls=dash, lw=1)
        axes.annotate(
            f"{name} {estimate.value:.2f}".replace("-", "−"),
            (1, estimate.value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            fontsize=7,
        )
    axes.plot((first + second) / 2, second - first, "o", color=BLUE, ms=3, mew=0)
    _label(axes, f"Mean of reference and prediction ({unit})", f"Prediction − reference ({unit})")
    return figure


@mpl.rc_context(_STYLE)
def confusion_chart(matrix: NDArray[np.int64], rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draw a confusion matrix, each row shaded by the share of its cases, with counts and shares written out."""
    figure = Figure(figsize=_inches(72.0), layout="constrained")
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
    _label(axes, "Predicted", "Reference")
    return figure


@mpl.rc_context(_STYLE)
def sensitivity_chart(bins: Mapping[str, Estimate]) -> Figure:
    """Draw the sensitivity of each bin of lesion volume with its interval, and the lesions found of all beside it."""
    figure, axes = _figure()
    names = list(bins)
    for n, estimate in enumerate(bins.values()):
        if estimate.value is None:
            axes.text(n, 0.03, "no lesion", ha="center", fontsize=7, color=_GREY)
            continue
        axes.bar(n, estimate.value, width=0.6, color=SKY, edgecolor=BLUE, lw=0.6)
        if estimate.low is not None and estimate.high is not None:
            axes.vlines(n, estimate.low, estimate.high, color=BLACK, lw=1)
        top = max(estimate.value, estimate.high or 0.0)
        axes.text(n, top + 0.02, f"{estimate.numerator:.0f}/{estimate.denominator:.0f}", ha="center", fontsize=7)
    axes.set_xticks(range(len(names)), names)
    axes.set(ylim=(0, 1.12), yticks=np.linspace(0, 1, 6))
    _label(axes, "Lesion volume (ml)", "Lesion sensitivity")
    return figure


@mpl.rc_context(_STYLE)
def calibration_chart(curves: Mapping[str, Calibration]) -> Figure:
    """Draw the observed share of positives against the mean probability of each bin, with Wilson intervals."""
    figure, axes = _figure(height_mm=COLUMN_WIDTH_MM * 0.92)
    axes.plot([0, 1], [0, 1], color=_GREY, lw=0.6, ls=":")
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
        axes.plot(x, y, marker=_MARKERS[n % len(_MARKERS)], color=colour, ls=_DASHES[n % 4], label=name + ece)
    _label(axes, "Predicted probability", "Observed share")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper left")
    return figure


@mpl.rc_context(_STYLE)
def reader_chart(points: Sequence[OperatingPoint]) -> Figure:
    """Draw the operating points of readers and model, one shape and colour for each group."""
    figure, axes = _figure()
    _scatter(axes, points, first_colour=0)
    _label(axes, "False positives per series", "Lesion sensitivity")
    axes.set_xlim(0, 1.1 * max([0.5, *(p.fp_per_series for p in points)]))
    axes.set_ylim(0, 1.06)
    axes.legend(loc="lower right")
    return figure


def _bodies(axes: Axes, values: NDArray[np.float64]) -> list[Any]:
    """Shapes of a violin."""
    shapes: Any = axes.violinplot(values, showextrema=False)["bodies"]
    return list(shapes)


def _figure(height_mm: float = 62.0) -> tuple[Figure, Axes]:
    """One pair of axes, one column wide."""
    figure = Figure(figsize=_inches(height_mm), layout="constrained")
    return figure, figure.subplots()


def _inches(height_mm: float) -> tuple[float, float]:
    return COLUMN_WIDTH_MM / _INCH_MM, height_mm / _INCH_MM


def _row(figure: Figure, n: int) -> list[Axes]:
    """Axes side by side; none of them where there is nothing to draw."""
    return list(figure.subplots(1, n, squeeze=False)[0]) if n else []


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y)


def _scatter(axes: Axes, points: Sequence[OperatingPoint], *, first_colour: int) -> None:
    """Points by group, each point with its name."""
    for n, group in enumerate(dict.fromkeys(p.group for p in points)):
        members = [p for p in points if p.group == group]
        index = (n + first_colour) % len(SERIES_COLOURS)
        axes.plot(
            [p.fp_per_series for p in members],
            [p.sensitivity for p in members],
            _MARKERS[index],
            color=SERIES_COLOURS[index],
            label=group,
        )
        for p in members:
            axes.annotate(
                p.name, (p.fp_per_series, p.sensitivity), xytext=(3, 3), textcoords="offset points", fontsize=6
            )


def _with_interval(estimate: Estimate) -> str:
    """Value with its limits, two decimals."""
    if estimate.value is None:
        return "undefined"
    limits = "" if estimate.low is None else f" ({estimate.low:.2f}–{estimate.high:.2f})"
    return f"{estimate.value:.2f}{limits}"
