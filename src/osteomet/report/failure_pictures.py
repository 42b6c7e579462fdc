"""Pictures of what a model got wrong, for its card: reference and calls outlined in two planes."""

from __future__ import annotations

import io
import textwrap
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from osteomet.core.lesion import PointMm
from osteomet.core.volume import LabelMap, Volume
from osteomet.report.chart_style import COLUMN_WIDTH_MM, ORANGE, SKY, STYLE, row_of_axes, size_inches
from osteomet.report.cuts import Cut, View, grey_window, render_grey, sample_nearest

_FIELD_MM, _PIXEL_MM = 90.0, 0.5
_DPI, _LINE = 150, 56


@mpl.rc_context(STYLE)
def failure_picture(volume: Volume, reference: LabelMap, called: LabelMap, at_xyz_mm: PointMm, text: str) -> bytes:
    """Draw axial and sagittal cuts through a point, as PNG.

    Parameters
    ----------
    volume
        The image.
    reference, called
        True lesions, outlined in blue and solid, and those the model called, in orange and dashed; on the grid of the
        image.
    at_xyz_mm
        Where the cuts meet, LPS mm.
    text
        What is wrong, written above.
    """
    figure = Figure(figsize=size_inches(COLUMN_WIDTH_MM / 2 + 10), layout="constrained")
    for axes, view in zip(row_of_axes(figure, 2), (View.AXIAL, View.SAGITTAL), strict=True):
        cut = Cut.around(view, at_xyz_mm, field_mm=_FIELD_MM, pixel_mm=_PIXEL_MM)
        axes.imshow(render_grey(volume, cut, grey_window(volume)), cmap="gray", vmin=0, vmax=255)
        _outline(axes, sample_nearest(reference.array, volume.grid, cut), SKY, "solid")
        _outline(axes, sample_nearest(called.array, volume.grid, cut), ORANGE, "dashed")
        axes.set_axis_off()
    figure.suptitle(textwrap.fill(text, _LINE), fontsize=7)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=_DPI, format="png", metadata={"Software": None})
    return stream.getvalue()


def _outline(axes: Axes, labels: NDArray[Any], colour: str, dash: str) -> None:
    """Draw the border of what is labelled in a cut, if anything is."""
    inside = labels != 0
    if inside.any():
        axes.contour(inside.astype(float), levels=[0.5], colors=[colour], linestyles=[dash], linewidths=[1.0])
