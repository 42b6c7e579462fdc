"""How a training went: loss, Dice on patches and Dice on whole images, each on axes of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from osteomet.report.chart_style import BLUE, COLUMN_WIDTH_MM, STYLE, VERMILION, label_axes, size_inches

Curve = Sequence[tuple[int, float]]
_PANELS = (
    ("Loss", (("training", "loss"), ("validation", "validation loss"))),
    ("Pseudo-Dice of patches", (("training", "pseudo_dice"), ("validation", "validation pseudo_dice"))),
    ("Dice of whole images", (("validation", "validation dice"),)),
)


@mpl.rc_context(STYLE)
def training_chart(curves: Mapping[str, Curve]) -> Figure:
    """Draw the curves of one training.

    Parameters
    ----------
    curves
        Step and value by name (`osteomet.training.log.read_curves`): ``loss``, ``pseudo_dice``, ``validation loss``,
        ``validation pseudo_dice``, ``validation dice``; what is missing is not drawn. The pseudo-Dice of patches tells
        only whether a network learns; what it is worth, the Dice of whole images of other patients says. A panel that
        would stay empty, such as the last one of a classifier, is left out.
    """
    panels = [(title, series) for title, series in _PANELS if any(curves.get(key) for _, key in series)]
    figure = Figure(figsize=size_inches(0.5 * len(panels) * COLUMN_WIDTH_MM), layout="constrained")
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (title, series) in zip(rows, panels, strict=True):
        for name, key in series:
            is_training = name == "training"
            points = curves.get(key, ())
            if not points:
                continue
            axes.plot(
                [step for step, _ in points],
                [value for _, value in points],
                "-" if is_training else "o--",
                color=BLUE if is_training else VERMILION,
                label=name,
            )
        label_axes(axes, "Step" if axes is rows[-1] else "", title)
        if "Dice" in title:
            axes.set_ylim(0, 1)
        axes.legend(loc="best")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
