"""Pictures of what the grade of an exam draws on: a plane of its map, and the same plane with the falls over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from osteomet.report.chart_style import COLUMN_WIDTH_MM, ORANGE, STYLE, size_inches

_LOW, _HIGH = 1, 99
_OPACITY = 0.55
_N_DIGITS = 3
_WORDS_MM = 9.0


@dataclass(frozen=True, slots=True, eq=False)
class DecisionPicture:
    """One exam: a title, a plane of its map, and how far the probability falls where it is covered; same shape."""

    title: str
    plane: NDArray[np.float32]
    falls: NDArray[np.float32]


@mpl.rc_context(STYLE)
def decision_chart(pictures: Sequence[DecisionPicture]) -> Figure:
    """Draw each exam twice, head at the top and front to the left: the plane, and the falls over it.

    Yellow where covering lowers the probability of the grade that was called, blue where it raises it; each exam has
    its own scale, written below it. A ring marks the largest fall.
    """
    n_rows, n_columns = pictures[0].plane.shape if pictures else (1, 1)
    height_mm = COLUMN_WIDTH_MM * n_rows / n_columns / (2 * max(1, len(pictures))) + _WORDS_MM
    figure = Figure(figsize=size_inches(height_mm), layout="constrained")
    if not pictures:
        return figure
    pairs = figure.subplots(1, 2 * len(pictures), squeeze=False)[0].reshape(-1, 2)
    for (left, right), picture in zip(pairs, pictures, strict=True):
        low, high = np.percentile(picture.plane, (_LOW, _HIGH))
        limit = max(float(np.abs(picture.falls).max()), 1e-6)
        for axes in (left, right):
            axes.imshow(picture.plane, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
        right.imshow(picture.falls, cmap="cividis", vmin=-limit, vmax=limit, alpha=_OPACITY, interpolation="bilinear")
        row, column = np.unravel_index(int(picture.falls.argmax()), picture.falls.shape)
        right.plot(column, row, "o", ms=7, mfc="none", mec=ORANGE, mew=1.2)
        left.set_title(picture.title, fontsize=6, loc="left")
        right.set_xlabel(f"± {limit:.{_N_DIGITS}f}", fontsize=6)
    return figure
