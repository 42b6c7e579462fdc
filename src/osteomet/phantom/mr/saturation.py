"""Saturation band: the slab in front of the column whose signal sagittal spine protocols take away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.phantom.skeleton.anatomy import Column

_SLOPE_MM = 7.0
"""Half the width of the edge of a band: the profile of its pulse."""


@dataclass(frozen=True, slots=True, eq=False)
class SaturationBand:
    """A flat slab in which spins are saturated before they are excited.

    Parameters
    ----------
    middle_mm
        A point in the middle of the slab, LPS.
    normal
        Unit vector across it.
    half_mm
        Half its thickness.
    left
        Share of the signal that it leaves, 0–1.
    """

    middle_mm: NDArray[np.float64]
    normal: NDArray[np.float64]
    half_mm: float
    left: float

    def share(self, grid: Grid) -> NDArray[np.float32]:
        """Share of the signal that is left at every voxel: 1 outside of the slab."""
        steps = self.normal @ grid.affine[:3, :3]
        start = float(self.normal @ (grid.affine[:3, 3] - self.middle_mm))
        i, j, k = ((np.arange(n) * step).astype(np.float32) for n, step in zip(grid.shape, steps, strict=True))
        across = np.abs(i[:, None, None] + j[:, None] + (k + np.float32(start)))
        inside = np.clip(0.5 + (np.float32(self.half_mm) - across) / np.float32(2 * _SLOPE_MM), 0, 1)
        return np.asarray(1 - np.float32(1 - self.left) * inside)


def sample_band(
    rng: np.random.Generator, column: Column, low_mm: float, high_mm: float, *, clear_mm: float = 9.0
) -> SaturationBand | None:
    """Plan a band in front of the bodies between two heights (LPS z), as a technician does; None where there are none.

    Its back lies along the fronts of these bodies, ``clear_mm`` or more before the foremost of them.
    """
    fronts = np.array([v.at(0, -v.depth_mm / 2, 0) for v in column.vertebrae])
    fronts = fronts[(fronts[:, 2] > low_mm) & (fronts[:, 2] < high_mm)]
    if len(fronts) < 2:
        return None
    slope, _ = np.polyfit(fronts[:, 2], fronts[:, 1], 1)
    normal = np.array([0.0, -1.0, slope]) / np.hypot(1.0, slope)
    ahead = float((fronts @ normal).max()) + clear_mm + float(rng.uniform(0, 8))
    half_mm, left = float(rng.uniform(22, 42)), float(rng.uniform(0.06, 0.22))
    foot = fronts.mean(axis=0)
    return SaturationBand(foot + normal * (ahead - float(foot @ normal) + half_mm), normal, half_mm, left)
