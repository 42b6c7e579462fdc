"""Weighted sums of neighbours along one axis of an image."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def weigh_along(
    image: NDArray[np.float32],
    weights: NDArray[np.float64],
    axis: int,
    *,
    start: int = 0,
    step: int = 1,
    size: int | None = None,
) -> NDArray[np.float32]:
    """Sum neighbours along an axis: place m of the result weighs those from ``start + step · m`` on.

    Beyond both ends the last value goes on. ``size`` is the length of the result, by default that of the image.

    Examples
    --------
    >>> weigh_along(np.arange(5, dtype=np.float32), np.array([0.5, 0.5]), 0, step=2, size=2).tolist()
    [0.5, 2.5]
    """
    n = image.shape[axis]
    outer, inner = int(np.prod(image.shape[:axis])), int(np.prod(image.shape[axis + 1 :]))
    out = np.zeros((outer, n if size is None else size, inner), dtype=np.float32)
    lines = np.ascontiguousarray(image).reshape(outer, n, inner)
    if inner > 1:
        _weigh_planes(lines, weights.astype(np.float32), start, step, out)
    else:
        last = start + step * (out.shape[1] - 1) + weights.size
        beyond = np.arange(start, last).clip(0, n - 1)
        _weigh_lines(lines[:, :, 0], weights.astype(np.float32), beyond, step, out[:, :, 0])
    return out.reshape(*image.shape[:axis], out.shape[1], *image.shape[axis + 1 :])


@njit(cache=True)
def _weigh_planes(
    lines: NDArray[np.float32], weights: NDArray[np.float32], start: int, step: int, out: NDArray[np.float32]
) -> None:
    """Sum along the middle axis, for all places of the last axis at once."""
    last = lines.shape[1] - 1
    for o in range(out.shape[0]):
        for m in range(out.shape[1]):
            line = out[o, m]
            for t in range(weights.size):
                source, weight = lines[o, min(max(start + step * m + t, 0), last)], weights[t]
                for c in range(line.size):
                    line[c] += weight * source[c]


@njit(cache=True)
def _weigh_lines(
    lines: NDArray[np.float32], weights: NDArray[np.float32], beyond: NDArray[np.int64], step: int,
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Sum along the last axis; ``beyond`` holds the places of a line with those added beyond its ends."""
    padded = np.empty(beyond.size, dtype=np.float32)
    for o in range(out.shape[0]):
        for n in range(beyond.size):
            padded[n] = lines[o, beyond[n]]
        line = out[o]
        for t in range(weights.size):
            weight = weights[t]
            for m in range(line.size):
                line[m] += weight * padded[step * m + t]
