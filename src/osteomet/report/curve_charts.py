"""Curves of an evaluation: FROC, AFROC, ROC, decision curves, and the operating points of readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from osteomet.report.chart_style import (
    BLUE,
    COLUMN_WIDTH_MM,
    DASHES,
    GREY,
    MARKERS,
    SERIES_COLOURS,
    STYLE,
    label_axes,
    new_figure,
    place_legend,
)
from osteomet.report.wording import count
from osteomet.stats.calibration import DecisionCurve
from osteomet.stats.froc import FrocCurve
from osteomet.stats.intervals import Estimate
from osteomet.stats.roc import RocCurve


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where a reader, or the model at its threshold, works: false positives per series and sensitivity."""

    name: str
    group: str
    fp_per_series: float
    sensitivity: float


@mpl.rc_context(STYLE)
def froc_chart(
    curve: FrocCurve,
    *,
    band: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None = None,
    points: Sequence[OperatingPoint] = (),
    others: Sequence[tuple[str, FrocCurve]] = (),
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
    others
        Curves of readers who scored their marks, each with its group, whose colour it takes.
    """
    figure, axes = new_figure()
    rates = np.append(curve.fp_per_case, max(1.0, 1.05 * float(curve.fp_per_case.max(initial=0.0))))
    sensitivity = np.append(curve.sensitivity, curve.sensitivity[-1])
    if band is not None:
        axes.fill_between(band[0], band[1], band[2], step="post", color=BLUE, alpha=0.18, lw=0, label="95 % interval")
    axes.step(rates, sensitivity, where="post", color=BLUE, label=f"model ({count(curve.n_lesions, 'lesion')})")
    axes.plot(curve.fp_per_case, curve.sensitivity, ".", color=BLUE, ms=3)
    groups = list(dict.fromkeys([*(p.group for p in points), *(group for group, _ in others)]))
    for group, other in others:
        n = 1 + groups.index(group)
        style: Any = {"color": SERIES_COLOURS[n % len(SERIES_COLOURS)], "ls": DASHES[n % len(DASHES)], "lw": 0.6}
        axes.step(other.fp_per_case, other.sensitivity, where="post", **style)
    _scatter(axes, points, first_colour=1)
    label_axes(axes, "False positives per series", "Lesion sensitivity")
    beyond = [1.05 * float(other.fp_per_case.max()) for _, other in others]
    axes.set_xlim(0, max([float(rates[-1]), *beyond, *(1.05 * p.fp_per_series for p in points)]))
    axes.set_ylim(0, 1.06)
    axes.legend(loc="best")
    _name_points(figure, axes, points)
    return figure


@mpl.rc_context(STYLE)
def roc_chart(curves: Mapping[str, tuple[RocCurve, Estimate]]) -> Figure:
    """Draw ROC curves by name, each with its area in the legend; the diagonal is chance."""
    figure, axes = new_figure(COLUMN_WIDTH_MM * 0.92)
    _draw_areas(axes, curves, "AUC")
    label_axes(axes, "1 − specificity", "Sensitivity")
    place_legend(figure, axes, n_inside=4, inside="lower right")
    return figure


@mpl.rc_context(STYLE)
def afroc_chart(curves: Mapping[str, tuple[RocCurve, Estimate]]) -> Figure:
    """Draw AFROC curves by name, each with its figure of merit, the area under it, in the legend."""
    figure, axes = new_figure(height_mm=COLUMN_WIDTH_MM * 0.92)
    _draw_areas(axes, curves, "FOM")
    label_axes(axes, "Share of cases with a false positive", "Share of lesions found")
    axes.legend(loc="lower right")
    return figure


@mpl.rc_context(STYLE)
def decision_chart(curves: Mapping[str, DecisionCurve]) -> Figure:
    """Draw the net benefit of each model, and of treating all of the same cases (dotted), against the threshold.

    The axis ends a little below 0, the benefit of treating none: what lies lower is worse than doing nothing.
    """
    figure, axes = new_figure()
    top = 0.05
    for n, (name, curve) in enumerate(curves.items()):
        colour = SERIES_COLOURS[n % len(SERIES_COLOURS)]
        axes.plot(curve.threshold, curve.model, color=colour, ls=DASHES[n % len(DASHES)], label=name)
        axes.plot(curve.threshold, curve.treat_all, color=colour, lw=0.6, ls=":", label="" if n else "treat all")
        top = max(top, float(curve.model.max()), float(curve.treat_all.max()))
    axes.axhline(0, color=GREY, lw=0.6)
    label_axes(axes, "Threshold probability", "Net benefit per case")
    axes.set(xlim=(0, 1), ylim=(-0.15 * top, 1.1 * top))
    place_legend(figure, axes, n_inside=2)
    return figure


@mpl.rc_context(STYLE)
def reader_chart(points: Sequence[OperatingPoint]) -> Figure:
    """Draw the operating points of readers and model, one shape and colour for each group."""
    figure, axes = new_figure()
    _scatter(axes, points, first_colour=0)
    label_axes(axes, "False positives per series", "Lesion sensitivity")
    axes.set_xlim(0, 1.1 * max([0.5, *(p.fp_per_series for p in points)]))
    axes.set_ylim(0, 1.06)
    axes.legend(loc="best")
    _name_points(figure, axes, points)
    return figure


def _draw_areas(axes: Axes, curves: Mapping[str, tuple[RocCurve, Estimate]], what: str) -> None:
    """Curves in the unit square, their areas in the legend, and the diagonal."""
    for n, (name, (curve, area)) in enumerate(curves.items()):
        axes.plot(
            curve.false_positive_rate,
            curve.sensitivity,
            color=SERIES_COLOURS[n % len(SERIES_COLOURS)],
            ls=DASHES[n % len(DASHES)],
            label=f"{name}: {what} {_with_interval(area)}",
        )
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.6, ls=":")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))


def _scatter(axes: Axes, points: Sequence[OperatingPoint], *, first_colour: int) -> None:
    """Points by group."""
    for n, group in enumerate(dict.fromkeys(p.group for p in points)):
        members = [p for p in points if p.group == group]
        index = (n + first_colour) % len(SERIES_COLOURS)
        axes.plot(
            [p.fp_per_series for p in members],
            [p.sensitivity for p in members],
            MARKERS[index],
            color=SERIES_COLOURS[index],
            label=group,
        )


def _name_points(figure: Figure, axes: Axes, points: Sequence[OperatingPoint]) -> None:
    """Write the name of each point where it covers neither a point nor another name, with a line where that is far."""
    figure.draw_without_rendering()
    to_points = 72 / figure.dpi
    places = [np.array(axes.transData.transform((p.fp_per_series, p.sensitivity))) * to_points for p in points]
    taken = [_Box(x - 2.5, y - 2.5, x + 2.5, y + 2.5) for x, y in places]
    for point, place in zip(points, places, strict=True):
        size = np.array([3.4 * len(point.name) + 1, 6.0])
        boxes = [(offset, _Box(*(place + offset), *(place + offset + size))) for offset in _offsets(size)]
        offset, box = min(boxes, key=lambda entry: sum(entry[1].common(other) for other in taken))
        taken.append(box)
        far = float(np.abs(offset + size / 2).max()) > 14
        axes.annotate(
            point.name,
            (point.fp_per_series, point.sensitivity),
            xytext=(float(offset[0]), float(offset[1])),
            textcoords="offset points",
            fontsize=6,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": GREY, "shrinkA": 0, "shrinkB": 2} if far else None,
        )


class _Box(NamedTuple):
    """A rectangle on the page, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def common(self, other: _Box) -> float:
        """Area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)


def _offsets(size: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Where the lower left corner of a name may lie from its point, nearest first, in points."""
    around = np.deg2rad([30, 330, 150, 210, 90, 270, 0, 180])
    return [
        distance * np.array([np.cos(angle), np.sin(angle)]) + size * (np.array([np.cos(angle), np.sin(angle)]) - 1) / 2
        for distance in (4.0, 9.0, 15.0, 22.0)
        for angle in around
    ]


def _with_interval(estimate: Estimate) -> str:
    """Value with its limits, two decimals."""
    if estimate.value is None:
        return "undefined"
    limits = "" if estimate.low is None else f" ({estimate.low:.2f}–{estimate.high:.2f})"
    return f"{estimate.value:.2f}{limits}"
