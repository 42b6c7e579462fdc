"""Spines of blocks: each vertebra a body and an arch round a canal whose middle is known."""

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap

LEVELS = ("T11", "T12", "L1", "L2", "L3", "L4")
HEIGHT_MM, GAP_MM = 24.0, 8.0


def oblique(degrees: float, axis: int) -> NDArray[np.float64]:
    """Rotation about a patient axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    a, b = [n for n in range(3) if n != axis]
    matrix = np.eye(3)
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def block_spine(grid: Grid, middles_mm: NDArray[np.float64], *, levels: tuple[str, ...] = LEVELS) -> LabelMap:
    """Vertebrae round canal middles, from head to foot: 44 × 64 × 24 mm with a canal of 22 × 16 mm, open in none."""
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    bones = np.zeros(grid.shape, dtype=np.uint8)
    for level, middle in zip(levels, middles_mm, strict=True):
        x, y, z = np.moveaxis(xyz - middle, -1, 0)
        tall = abs(z) <= HEIGHT_MM / 2
        block = (abs(x) <= 22) & (y >= -42) & (y <= 22) & tall
        canal = (abs(x) <= 11) & (abs(y) <= 8)
        bones[block & ~canal] = STRUCTURES[level].id
    return LabelMap(bones, grid, {level: STRUCTURES[level].id for level in levels})


def upright(x_mm: float = 0.0, y_mm: float = 0.0) -> NDArray[np.float64]:
    """Canal middles of an upright spine, head to foot."""
    heights = -(HEIGHT_MM + GAP_MM) * np.arange(len(LEVELS))
    return np.column_stack([np.full(len(LEVELS), x_mm), np.full(len(LEVELS), y_mm), heights])
