"""Compiled loop over the voxels near a deposit: its fused lobes with their waves."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_BLEND = 0.5


@njit(cache=True, fastmath=True)
def fuse_lobes(
    points: NDArray[np.float32],
    start: NDArray[np.int64],
    lobes: NDArray[np.float64],
    outgrow: NDArray[np.float64],
    form: NDArray[np.float64],
    waves: NDArray[np.float64],
    origin: NDArray[np.float64],
    ripple: float,
    reach: float,
    radiates: bool,
    distance: NDArray[np.float32],
    room: NDArray[np.float32],
    grain: NDArray[np.float32],
) -> None:
    """Signed distance to lobes that melt into one another, how far the nearest may leave its bone, and a grain.

    ``origin`` is the centre and radius that the waves refer to; further out than ``reach`` only the plain distance
    counts. The grain is a wave of mean zero and amplitude one.
    """
    n_i, n_j, n_k = distance.shape
    for i in range(n_i):
        for j in range(n_j):
            for k in range(n_k):
                x, y, z = points[start[0] + i, start[1] + j, start[2] + k]
                fused, own, room_here = 1e9, 1e9, 0.0
                for n in range(lobes.shape[0]):
                    dx, dy, dz = x - lobes[n, 0], y - lobes[n, 1], z - lobes[n, 2]
                    d = _to_lobe(dx, dy, dz, lobes[n, 3], form)
                    if d < own:
                        own = d
                        room_here = outgrow[n]
                    width = _BLEND * lobes[n, 3]
                    overlap = max(width - abs(fused - d), 0.0) / width
                    fused = min(fused, d) - 0.25 * width * overlap * overlap
                room[i, j, k] = room_here
                if fused < reach:
                    dx, dy, dz = x - origin[0], y - origin[1], z - origin[2]
                    scale = 1.0 / origin[3]
                    if radiates:
                        scale = 1.0 / max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-3)
                    dx, dy, dz = dx * scale, dy * scale, dz * scale
                    coarse = np.sin(waves[0, 0] * dx + waves[0, 1] * dy + waves[0, 2] * dz + waves[3, 0])
                    middle = np.sin(waves[1, 0] * dx + waves[1, 1] * dy + waves[1, 2] * dz + waves[3, 1] + coarse)
                    fine = np.sin(waves[2, 0] * dx + waves[2, 1] * dy + waves[2, 2] * dz + waves[3, 2] + middle)
                    fused += ripple * (0.45 * coarse + 0.35 * middle + 0.2 * fine)
                    grain[i, j, k] = 0.5 * (middle + fine)
                distance[i, j, k] = fused


@njit(cache=True, fastmath=True)
def _to_lobe(dx: float, dy: float, dz: float, radius: float, form: NDArray[np.float64]) -> float:
    """Distance to the surface of one lobe, exact for a ball, first order for an ellipsoid."""
    u = form[0, 0] * dx + form[0, 1] * dy + form[0, 2] * dz
    v = form[1, 0] * dx + form[1, 1] * dy + form[1, 2] * dz
    w = form[2, 0] * dx + form[2, 1] * dy + form[2, 2] * dz
    size = np.sqrt(u * u + v * v + w * w)
    if size < 1e-6:
        return -radius
    gx = form[0, 0] * u + form[1, 0] * v + form[2, 0] * w
    gy = form[0, 1] * u + form[1, 1] * v + form[2, 1] * w
    gz = form[0, 2] * u + form[1, 2] * v + form[2, 2] * w
    return float((size - radius) * size / np.sqrt(gx * gx + gy * gy + gz * gz))
