"""Blocks of voxels: which primitives reach one, and its voxels side by side for loops that work on many at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.core.grid import Grid

_EDGE_MM, _LEAST, _MOST = 7.0, 2, 8


def edge_of(grid: Grid) -> int:
    """Voxels along an edge of a block: about `_EDGE_MM`, so small that few primitives reach it."""
    return int(np.clip(round(_EDGE_MM / float(np.mean(grid.spacing_mm))), _LEAST, _MOST))


@njit(cache=True)
def pick(
    rows: NDArray[np.int64],
    count: int,
    reach: NDArray[np.int64],
    span: tuple[int, int, int],
    out: NDArray[np.int64],
) -> int:
    """Keep those of the first ``count`` rows whose index range meets a span (axis, start, stop); returns how many.

    ``reach`` holds the range (start, stop) of each primitive along three axes, shape (n, 2, 3).
    """
    axis, start, stop = span
    found = 0
    for n in range(count):
        row = rows[n]
        if reach[row, 0, axis] < stop and reach[row, 1, axis] > start:
            out[found] = row
            found += 1
    return found


@njit(cache=True)
def middle_of(
    points: NDArray[np.float32], first: tuple[int, int, int], edge: int, middle: NDArray[np.float64]
) -> float:
    """Find the middle of a block, shape (3,); returns its diagonal, mm."""
    i, j, k = first
    it, jt, kt = min(i + edge, points.shape[0]), min(j + edge, points.shape[1]), min(k + edge, points.shape[2])
    diagonal2 = 0.0
    for axis in range(3):
        low, high = points[i, j, k, axis], points[it - 1, jt - 1, kt - 1, axis]
        middle[axis] = 0.5 * (low + high)
        diagonal2 += (high - low) ** 2
    return float(np.sqrt(diagonal2))


@njit(cache=True)
def corners_of(
    points: NDArray[np.float32], first: tuple[int, int, int], edge: int, corners: NDArray[np.float64]
) -> None:
    """Copy the points of the eight corner voxels of a block into ``corners``, shape (3, 8)."""
    shape = points.shape
    for n in range(8):
        i = min(first[0] + edge, shape[0]) - 1 if n & 1 else first[0]
        j = min(first[1] + edge, shape[1]) - 1 if n & 2 else first[1]
        k = min(first[2] + edge, shape[2]) - 1 if n & 4 else first[2]
        for axis in range(3):
            corners[axis, n] = points[i, j, k, axis]


@njit(cache=True)
def gather(points: NDArray[np.float32], first: tuple[int, int, int], edge: int, xyz: NDArray[np.float64]) -> int:
    """Copy the points of a block side by side into ``xyz``, shape (3, n); returns their number."""
    n = 0
    for i in range(first[0], min(first[0] + edge, points.shape[0])):
        for j in range(first[1], min(first[1] + edge, points.shape[1])):
            for k in range(first[2], min(first[2] + edge, points.shape[2])):
                for axis in range(3):
                    xyz[axis, n] = points[i, j, k, axis]
                n += 1
    return n


@njit(cache=True)
def scatter(values: NDArray[Any], onto: NDArray[Any], first: tuple[int, int, int], edge: int) -> None:
    """Copy the values of a block to its place on a grid."""
    n = 0
    for i in range(first[0], min(first[0] + edge, onto.shape[0])):
        for j in range(first[1], min(first[1] + edge, onto.shape[1])):
            for k in range(first[2], min(first[2] + edge, onto.shape[2])):
                onto[i, j, k] = values[n]
                n += 1
