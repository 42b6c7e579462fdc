"""What lies between the spinous processes: their ligaments, and the fat that parts the fibres."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from osteomet.phantom.skeleton.anatomy import Column, Vertebra
from osteomet.phantom.soft_tissue.canvas import Canvas, Patient

_MOST_STRANDS = 7
_LAST_SUPRASPINOUS_PLACE = 22.5
"""The ligament over the tips ends at L4."""


def add_between_spines(canvas: Canvas, column: Column, patient: Patient, rng: np.random.Generator) -> None:
    """Draw the ligaments behind the arches with strands of fat, no level like another."""
    for v in column.vertebrae:
        if v.disc_below_mm > 0:
            _add_interspinous(canvas, v, patient, rng)
    for low, high in pairwise(column.vertebrae):
        if low.place <= _LAST_SUPRASPINOUS_PLACE and high.disc_below_mm > 0:
            canvas.tube(np.array([_tip(low), _tip(high)]), 1.3 * patient.scale, "ligament", 75.0)


def _add_interspinous(canvas: Canvas, v: Vertebra, patient: Patient, rng: np.random.Generator) -> None:
    """One ligament, whose fibres rise backwards, with strands of fat along them; more fat where muscle has more."""
    size = min(1.0, v.height_mm / 26)
    back = v.depth_mm / 2 + v.sizes.canal_depth
    low = -0.5 * v.height_mm - 0.6 * v.disc_below_mm
    middle = v.at(rng.uniform(-0.5, 0.5), back + 14 * size, low)
    radii = np.array([rng.uniform(1.8, 2.6), 11.0, rng.uniform(5.5, 7.5)]) * size
    canvas.ellipsoid(middle, radii, "ligament", 70.0, axes=v.axes)
    for _ in range(rng.integers(2, _MOST_STRANDS) + int(3 * patient.streaks)):
        start = np.array([rng.uniform(-1.2, 1.2), back + rng.uniform(5, 20) * size, low + rng.uniform(-7, 3) * size])
        along = np.array([rng.uniform(-1.5, 1.5), rng.uniform(2, 8), rng.uniform(1, 9)]) * size
        canvas.tube(
            np.array([v.at(*start), v.at(*(start + along))]), rng.uniform(0.5, 1.7, 2) * size, "epidural_fat",
            patient.fat_hu + 12,
        )  # fmt: skip


def _tip(v: Vertebra) -> np.ndarray:
    """Just behind the tip of a spinous process."""
    return v.at(0, v.depth_mm / 2 + v.sizes.spinous_reach + 0.5, -v.sizes.spinous_drop)
