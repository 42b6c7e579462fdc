"""Compiled loop that lays shapes of soft tissue over one another: one traversal, block by block, of what lies near.

The grid is cut into cells and these into blocks of a few voxels. A cell knows the shapes that its points can reach, so
that a block asks few of them, from the last drawn to the first, and stops when each of its voxels is full.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.phantom.geometry.kernels import BLOCK, distance
from osteomet.phantom.geometry.lofts import LOFT
from osteomet.phantom.geometry.shapes import Shapes

_CELL = 4 * BLOCK
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
    bounds = np.empty((2, 3))
    near = np.empty_like(chains)
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
                for a in range(i, it, BLOCK):
                    for b in range(j, jt, BLOCK):
                        for c in range(k, kt, BLOCK):
                            at, bt, ct = min(a + BLOCK, it), min(b + BLOCK, jt), min(c + BLOCK, kt)
                            _fill(
                                points[a:at, b:bt, c:ct], kinds, parameters, boxes, near[:n_near], tissues, softness,
                                bounds, first[a:at, b:bt, c:ct], second[a:at, b:bt, c:ct], share[a:at, b:bt, c:ct],
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
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: NDArray[np.float32],
) -> None:
    """Fill one block from the shapes near it, given from the last to the first; ``bounds`` is room for its box."""
    left = np.ones(first.shape, dtype=np.float32)
    most, next_ = np.zeros(first.shape, dtype=np.float32), np.zeros(first.shape, dtype=np.float32)
    _bound(points, bounds)
    n_open = first.size
    for n in range(near.shape[0]):
        low, high = _within(near[n, 0], near[n, 1], boxes, bounds, softness)
        if low < high:
            covers = _covers(kinds[low], parameters, boxes, low, high, bounds, softness)
            if covers >= 0:
                n_open -= _put(
                    points, kinds[low], parameters, boxes, low, high, tissues[low], softness, covers,
                    left, first, second, most, next_,
                )  # fmt: skip
                if n_open == 0:
                    break
    for a in range(first.shape[0]):
        for b in range(first.shape[1]):
            for c in range(first.shape[2]):
                if left[a, b, c] >= _OPEN:
                    _rank(0, left[a, b, c], first, second, most, next_, a, b, c)
                share[a, b, c] = next_[a, b, c] / max(most[a, b, c] + next_[a, b, c], 1e-6)


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
    points: NDArray[np.float32],
    kind: int,
    parameters: NDArray[np.float64],
    boxes: NDArray[np.float64],
    low: int,
    high: int,
    tissue: int,
    softness: float,
    covers: int,
    left: NDArray[np.float32],
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    most: NDArray[np.float32],
    next_: NDArray[np.float32],
) -> int:
    """Put one shape under what a block holds; return how many voxels became full."""
    p = np.empty(3)
    n_filled = 0
    for a in range(first.shape[0]):
        for b in range(first.shape[1]):
            for c in range(first.shape[2]):
                if left[a, b, c] < _OPEN:
                    continue
                cover = 1.0
                if covers == 0:
                    for axis in range(3):
                        p[axis] = points[a, b, c, axis]
                    d = _distance(kind, p, parameters, boxes, low, high)
                    # A section without width has no distance at all.
                    if not d < softness:
                        continue
                    cover = min(1.0, 0.5 - 0.5 * d / softness)
                weight = left[a, b, c] * cover
                left[a, b, c] -= weight
                n_filled += left[a, b, c] < _OPEN
                _rank(tissue, weight, first, second, most, next_, a, b, c)
    return n_filled


@njit(cache=True, error_model="numpy", inline="always")
def _rank(
    tissue: int,
    weight: float,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    most: NDArray[np.float32],
    next_: NDArray[np.float32],
    a: int,
    b: int,
    c: int,
) -> None:
    """Add a tissue to a voxel that keeps the two with the largest weights."""
    if most[a, b, c] > 0 and first[a, b, c] == tissue:
        most[a, b, c] += weight
    elif next_[a, b, c] > 0 and second[a, b, c] == tissue:
        next_[a, b, c] += weight
        if next_[a, b, c] > most[a, b, c]:
            first[a, b, c], second[a, b, c] = second[a, b, c], first[a, b, c]
            most[a, b, c], next_[a, b, c] = next_[a, b, c], most[a, b, c]
    elif weight > most[a, b, c]:
        second[a, b, c], next_[a, b, c] = first[a, b, c], most[a, b, c]
        first[a, b, c], most[a, b, c] = tissue, weight
    elif weight > next_[a, b, c]:
        second[a, b, c], next_[a, b, c] = tissue, weight
