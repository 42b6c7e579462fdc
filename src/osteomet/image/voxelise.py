"""Voxels inside a closed surface of triangles, by the parity of its crossings along a ray."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.core.grid import Grid


def voxelise(vertices_mm: NDArray[np.float64], triangles: NDArray[np.int64], grid: Grid) -> NDArray[np.bool_]:
    """Tell which voxel centres lie inside a closed surface.

    Parameters
    ----------
    vertices_mm
        Shape (n, 3), LPS mm.
    triangles
        Indices of the corners of each triangle, shape (m, 3). The order of the corners does not matter.
    grid
        Grid of any orientation; what lies outside of it is not looked at.

    Notes
    -----
    A ray runs along the third array axis through every column of voxels. A centre is inside when an odd number of
    crossings lie before it. A ray that meets an edge or a corner exactly counts for one triangle alone: sides are
    decided by half-open intervals, the same for both triangles of an edge.
    """
    flips = np.zeros((grid.shape[0], grid.shape[1], grid.shape[2] + 1), dtype=np.uint8)
    _cross(np.ascontiguousarray(grid.to_ijk(vertices_mm)), np.ascontiguousarray(triangles), flips)
    return np.asarray(np.bitwise_xor.accumulate(flips, axis=2)[:, :, :-1], dtype=np.bool_)


@njit(cache=True)
def _cross(ijk: NDArray[np.float64], triangles: NDArray[np.int64], flips: NDArray[np.uint8]) -> None:
    """Flip, in each column, the first voxel behind each crossing of a triangle."""
    n_i, n_j, last = flips.shape
    for t in range(triangles.shape[0]):
        corners = triangles[t]
        low_i = min(ijk[corners[0], 0], ijk[corners[1], 0], ijk[corners[2], 0])
        high_i = max(ijk[corners[0], 0], ijk[corners[1], 0], ijk[corners[2], 0])
        for i in range(max(0, int(np.ceil(low_i))), min(n_i, int(np.floor(high_i)) + 1)):
            # Where the line i = const meets the sides of the triangle; sides are half-open in i.
            met = 0
            j0, j1, k0, k1 = 0.0, 0.0, 0.0, 0.0
            for side in range(3):
                a, b = corners[side], corners[(side + 1) % 3]
                if ijk[a, 0] > ijk[b, 0] or (ijk[a, 0] == ijk[b, 0] and a > b):
                    a, b = b, a
                if not (ijk[a, 0] <= i < ijk[b, 0]):
                    continue
                share = (i - ijk[a, 0]) / (ijk[b, 0] - ijk[a, 0])
                j = ijk[a, 1] + share * (ijk[b, 1] - ijk[a, 1])
                k = ijk[a, 2] + share * (ijk[b, 2] - ijk[a, 2])
                if met == 0:
                    j0, k0 = j, k
                else:
                    j1, k1 = j, k
                met += 1
            if met < 2 or j0 == j1:
                continue
            if j0 > j1:
                j0, j1, k0, k1 = j1, j0, k1, k0
            for column in range(max(0, int(np.ceil(j0))), min(n_j, int(np.ceil(j1)))):
                k = k0 + (column - j0) / (j1 - j0) * (k1 - k0)
                first = min(max(int(np.ceil(k)), 0), last - 1)
                flips[i, column, first] ^= 1
