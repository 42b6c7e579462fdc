"""Compiled loop over the voxels near a deposit: its fused lobes with their waves, and cloudy noise within."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_BLEND, _FAR_MM = 0.5, 1e3
_PATCH_MM = 2.0


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
    longest: float,
    radiates: bool,
    is_mottled: bool,
    distance: NDArray[np.float32],
    room: NDArray[np.float32],
    grain: NDArray[np.float32],
) -> None:
    """Signed distance to lobes that melt into one another, how far the nearest may leave its bone, and a grain.

    ``origin`` is the centre and radius that the waves refer to; further than ``reach`` from the surface, to either
    side, only the plain distance counts, and lobes further still are passed over. ``longest`` is the reach of a
    lobe in radii. The grain is cloudy noise from -1 to 1 with a mean of about zero.
    """
    n_i, n_j, n_k = distance.shape
    patch = 1.0 / max(0.4 * origin[3], _PATCH_MM)
    seed = int(waves[3, 0] * 1e6)
    limit = np.empty(lobes.shape[0])
    for n in range(lobes.shape[0]):
        limit[n] = (lobes[n, 3] * (longest + _BLEND) + reach) ** 2
    for i in range(n_i):
        for j in range(n_j):
            for k in range(n_k):
                x, y, z = points[start[0] + i, start[1] + j, start[2] + k]
                fused, own, room_here = _FAR_MM, _FAR_MM, 0.0
                for n in range(lobes.shape[0]):
                    dx, dy, dz = x - lobes[n, 0], y - lobes[n, 1], z - lobes[n, 2]
                    if dx * dx + dy * dy + dz * dz > limit[n]:
                        continue
                    d = _to_lobe(dx, dy, dz, lobes[n, 3], form)
                    if d < own:
                        own = d
                        room_here = outgrow[n]
                    width = _BLEND * lobes[n, 3]
                    overlap = max(width - abs(fused - d), 0.0) / width
                    fused = min(fused, d) - 0.25 * width * overlap * overlap
                room[i, j, k] = room_here
                if is_mottled and fused < reach:
                    grain[i, j, k] = _cloud(x * patch, y * patch, z * patch, seed)
                if abs(fused) < reach:
                    dx, dy, dz = x - origin[0], y - origin[1], z - origin[2]
                    scale = 1.0 / origin[3]
                    if radiates:
                        scale = 1.0 / max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-3)
                    dx, dy, dz = dx * scale, dy * scale, dz * scale
                    coarse = np.sin(waves[0, 0] * dx + waves[0, 1] * dy + waves[0, 2] * dz + waves[3, 0])
                    middle = np.sin(waves[1, 0] * dx + waves[1, 1] * dy + waves[1, 2] * dz + waves[3, 1] + coarse)
                    fine = np.sin(waves[2, 0] * dx + waves[2, 1] * dy + waves[2, 2] * dz + waves[3, 2] + middle)
                    fused += ripple * (0.45 * coarse + 0.35 * middle + 0.2 * fine)
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


@njit(cache=True)
def _cloud(x: float, y: float, z: float, seed: int) -> float:
    """Noise of patches about one unit wide: random values on a lattice, blended, with finer ones at half the height."""
    return (2.0 * _lattice_noise(x, y, z, seed) + _lattice_noise(2.1 * x, 2.1 * y, 2.1 * z, seed + 1)) / 2.0


@njit(cache=True)
def _lattice_noise(x: float, y: float, z: float, seed: int) -> float:
    """Trilinear blend, smoothed, of one random value from -1 to 1 at each of the eight corners of a cell."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    total = 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                weight = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
                total += weight * _random_at(i + a, j + b, k + c, seed)
    return total


@njit(cache=True)
def _random_at(i: int, j: int, k: int, seed: int) -> float:
    """A value from -1 to 1 that depends on a lattice point and a seed alone (integer hash of 32 bits)."""
    h = (i * 374761393 + j * 668265263 + k * 1274126177 + seed * 362437) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = h ^ (h >> 16)
    return (h & 0xFFFFFF) / 8388607.5 - 1.0
