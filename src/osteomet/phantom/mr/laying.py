"""Compiled loop that lays shapes of soft tissue over one another: one traversal, block by block, of what lies near.

The grid is cut into cells and these into blocks of a few voxels. A cell knows the shapes that its points can reach, so
that a block asks few of them, from the last drawn to the first, and stops when each of its voxels is full.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.phantom.geometry.blocks import gather, scatter
from osteomet.phantom.geometry.distances import LOFT, distance, distances
from osteomet.phantom.geometry.shapes import Shapes

_BLOCK, _CELL = 4, 16
"""Voxels along an edge of a block, and of a cell of blocks."""
_OPEN = 0.02
"""A voxel with less than this left is full."""
_STEEPEST = 1.5
"""No distance outside of a shape changes faster than this, mm per mm."""
_BEYOND_MM = 900.0
"""From this distance on a point lies above or below a loft, where nothing is known of the distance in its slice."""


def chains_of(shapes: Shapes, tissues: NDArray[np.uint8]) -> NDArray[np.int64]:
    """First row of each shape and the row after its last, shape (n, 2).

    Segments of a loft of one tissue are one shape where each begins as the one before ends; any other row is a shape.
    """
    is_loft = shapes.kinds == LOFT
    goes_on = is_loft[1:] & is_loft[:-1] & (shapes.boxes[1:, 0, 2] == shapes.boxes[:-1, 1, 2])
    goes_on &= tissues[1:] == tissues[:-1]
    first = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    return np.column_stack([first, np.append(first[1:], len(shapes))])


@njit(cache=True, error_model="numpy")
def lay(
    points: NDArray[np.float32],
    kinds: NDArray[np.int64],
    parameters: NDArray[np.float64],
    boxes: NDArray[np.float64],
    chains: NDArray[np.int64],
    tissues: NDArray[np.uint8],
    softness: float,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: NDArray[np.float32],
) -> None:
    """Fill voxels with the two tissues that take most of each; later shapes cover earlier ones, over air.

    ``chains`` are those of `chains_of`, ``softness`` the width of an edge to either side, mm.
    """
    n_i, n_j, n_k = first.shape
    bounds, near = np.empty((2, 3)), np.empty_like(chains)
    room = (
        np.empty((5, _BLOCK**3)), np.empty((3, _BLOCK**3), dtype=np.float32), np.empty((2, _BLOCK**3), dtype=np.uint8)
    )  # fmt: skip
    for i in range(0, n_i, _CELL):
        for j in range(0, n_j, _CELL):
            for k in range(0, n_k, _CELL):
                it, jt, kt = min(i + _CELL, n_i), min(j + _CELL, n_j), min(k + _CELL, n_k)
                _bound(points[i:it, j:jt, k:kt], bounds)
                n_near = 0
                for chain in range(chains.shape[0] - 1, -1, -1):
                    low, high = _within(chains[chain, 0], chains[chain, 1], boxes, bounds, softness)
                    if low < high:
                        near[n_near, 0], near[n_near, 1] = low, high
                        n_near += 1
                for a in range(i, it, _BLOCK):
                    for b in range(j, jt, _BLOCK):
                        for c in range(k, kt, _BLOCK):
                            at, bt, ct = min(a + _BLOCK, it), min(b + _BLOCK, jt), min(c + _BLOCK, kt)
                            filled = first[a:at, b:bt, c:ct], second[a:at, b:bt, c:ct], share[a:at, b:bt, c:ct]
                            _fill(
                                points[a:at, b:bt, c:ct], kinds, parameters, boxes, near[:n_near], tissues, softness,
                                bounds, room, filled,
                            )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _bound(points: NDArray[np.float32], bounds: NDArray[np.float64]) -> None:
    """Smallest box (low, high) around all points."""
    bounds[0], bounds[1] = np.inf, -np.inf
    for i in range(points.shape[0]):
        for j in range(points.shape[1]):
            for k in range(points.shape[2]):
                for axis in range(3):
                    bounds[0, axis] = min(bounds[0, axis], points[i, j, k, axis])
                    bounds[1, axis] = max(bounds[1, axis], points[i, j, k, axis])


@njit(cache=True, error_model="numpy")
def _within(
    low: int, high: int, boxes: NDArray[np.float64], bounds: NDArray[np.float64], reach: float
) -> tuple[int, int]:
    """Those rows of a chain from the first to the last that come within reach of a box; none where low is high."""
    while low < high and not _touches(boxes, low, bounds, reach):
        low += 1
    while low < high and not _touches(boxes, high - 1, bounds, reach):
        high -= 1
    return low, high


@njit(cache=True, error_model="numpy", inline="always")
def _touches(boxes: NDArray[np.float64], row: int, bounds: NDArray[np.float64], reach: float) -> bool:
    """Whether the box of a row, grown by a reach, meets another box."""
    for axis in range(3):
        if boxes[row, 0, axis] - reach > bounds[1, axis] or boxes[row, 1, axis] + reach < bounds[0, axis]:
            return False
    return True


@njit(cache=True, error_model="numpy")
def _fill(
    points: NDArray[np.float32],
    kinds: NDArray[np.int64],
    parameters: NDArray[np.float64],
    boxes: NDArray[np.float64],
    near: NDArray[np.int64],
    tissues: NDArray[np.uint8],
    softness: float,
    bounds: NDArray[np.float64],
    room: tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.uint8]],
    filled: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]],
) -> None:
    """Fill one block from the shapes near it, given from the last to the first.

    ``bounds`` and ``room`` are room for its box, for its points and their distances to two rows, shape (5, n), for what
    is left of each voxel and the two largest shares, (3, n), and for their tissues, (2, n).
    """
    values, shares, names = room
    n = gather(points, (0, 0, 0), _BLOCK, values[:3])
    values, shares, names = values[:, :n], shares[:, :n], names[:, :n]
    shares[0], shares[1:], names[:] = 1.0, 0.0, 0
    _bound(points, bounds)
    for entry in range(near.shape[0]):
        low, high = _within(near[entry, 0], near[entry, 1], boxes, bounds, softness)
        if low < high:
            covers = _covers(kinds[low], parameters, boxes, low, high, bounds, softness)
            if covers > 0:
                values[3] = -np.inf
            elif covers == 0:
                distances(kinds[low], values[0], values[1], values[2], parameters[low], values[3])
                for row in range(low + 1, high):
                    distances(kinds[row], values[0], values[1], values[2], parameters[row], values[4])
                    for voxel in range(n):
                        values[3, voxel] = min(values[3, voxel], values[4, voxel])
            if covers >= 0 and _put(values[3], tissues[low], softness, shares, names) == 0:
                break
    for voxel in range(n):
        if shares[0, voxel] >= _OPEN:
            _rank(0, shares[0, voxel], shares, names, voxel)
        shares[0, voxel] = shares[2, voxel] / max(shares[1, voxel] + shares[2, voxel], 1e-6)
    scatter(names[0], filled[0], (0, 0, 0), _BLOCK)
    scatter(names[1], filled[1], (0, 0, 0), _BLOCK)
    scatter(shares[0], filled[2], (0, 0, 0), _BLOCK)


@njit(cache=True, error_model="numpy")
def _distance(
    kind: int, p: NDArray[np.float64], parameters: NDArray[np.float64], boxes: NDArray[np.float64], low: int, high: int
) -> float:
    """Signed distance of a point to one shape, of a loft to the segment at its height."""
    row = low
    while row < high - 1 and p[2] >= boxes[row, 1, 2]:
        row += 1
    return distance(kind, p, parameters[row])


@njit(cache=True, error_model="numpy")
def _covers(
    kind: int,
    parameters: NDArray[np.float64],
    boxes: NDArray[np.float64],
    low: int,
    high: int,
    bounds: NDArray[np.float64],
    softness: float,
) -> int:
    """Whether a shape leaves a box free (-1), crosses it (0) or holds it with all its corners (1)."""
    p = np.empty(3)
    half = 0.0
    for axis in range(3):
        p[axis] = 0.5 * (bounds[0, axis] + bounds[1, axis])
        half += (bounds[1, axis] - p[axis]) ** 2
    middle = _distance(kind, p, parameters, boxes, low, high)
    if softness + _STEEPEST * np.sqrt(half) < middle < _BEYOND_MM:
        return -1
    if not middle < -softness:
        return 0
    for corner in range(8):
        for axis in range(3):
            p[axis] = bounds[corner >> axis & 1, axis]
        if not _distance(kind, p, parameters, boxes, low, high) < -softness:
            return 0
    return 1


@njit(cache=True, error_model="numpy")
def _put(
    distances_mm: NDArray[np.float64],
    tissue: int,
    softness: float,
    shares: NDArray[np.float32],
    names: NDArray[np.uint8],
) -> int:
    """Put one shape under what a block holds; return how many voxels are not full."""
    n_open = 0
    for n in range(distances_mm.size):
        if shares[0, n] < _OPEN:
            continue
        # A section without width has no distance at all.
        if distances_mm[n] < softness:
            weight = shares[0, n] * min(1.0, 0.5 - 0.5 * distances_mm[n] / softness)
            shares[0, n] -= weight
            _rank(tissue, weight, shares, names, n)
        n_open += shares[0, n] >= _OPEN
    return n_open


@njit(cache=True, error_model="numpy", inline="always")
def _rank(tissue: int, weight: float, shares: NDArray[np.float32], names: NDArray[np.uint8], n: int) -> None:
    """Add a tissue to a voxel that keeps the two with the largest weights."""
    if shares[1, n] > 0 and names[0, n] == tissue:
        shares[1, n] += weight
    elif shares[2, n] > 0 and names[1, n] == tissue:
        shares[2, n] += weight
        if shares[2, n] > shares[1, n]:
            names[0, n], names[1, n] = names[1, n], names[0, n]
            shares[1, n], shares[2, n] = shares[2, n], shares[1, n]
    elif weight > shares[1, n]:
        names[1, n], shares[2, n] = names[0, n], shares[1, n]
        names[0, n], shares[1, n] = tissue, weight
    elif weight > shares[2, n]:
        names[1, n], shares[2, n] = tissue, weight
