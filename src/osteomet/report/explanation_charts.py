"""What in a lesion decided: cuts of a map beside how far a probability falls where a part of it is covered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from osteomet.report.chart_style import BLACK, STYLE, size_inches

_ROW_MM = 46.0
_WHITE = "#FFFFFF"


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Cuts through the middle of a lesion, shape (i, j): an image, the share of it that is lesion, and the falls."""

    title: str
    image: NDArray[np.float32]
    mask: NDArray[np.float32]
    fall: NDArray[np.float32]


@mpl.rc_context(STYLE)
def explanation_chart(lesions: Sequence[Explained], *, image_name: str, positive: str) -> Figure:
    """Draw a row for each lesion: the image with the outline, and the same place coloured by the fall.

    Colours run from blue, where what is seen speaks against the class, to red, where it speaks for it; each row has a
    scale of its own.
    """
    figure = Figure(figsize=size_inches(_ROW_MM * len(lesions)), layout="constrained")
    rows = figure.subplots(len(lesions), 2, squeeze=False)
    for (left, right), lesion in zip(rows, lesions, strict=True):
        left.imshow(lesion.image.T, cmap="gray", interpolation="nearest")
        most = max(float(np.abs(lesion.fall).max()), 1e-6)
        shown = right.imshow(lesion.fall.T, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
        for axes, colour in ((left, _WHITE), (right, BLACK)):
            if lesion.mask.max() > 0.5 > lesion.mask.min():
                axes.contour(lesion.mask.T, levels=[0.5], colors=[colour], linewidths=0.8)
            axes.set(xticks=[], yticks=[])
        left.set_title(lesion.title, fontsize=6)
        left.set_xlabel(image_name, fontsize=6)
        right.set_xlabel(f"fall of the probability of {positive}", fontsize=6)
        figure.colorbar(shown, ax=right, shrink=0.7).ax.tick_params(labelsize=5)
    return figure
